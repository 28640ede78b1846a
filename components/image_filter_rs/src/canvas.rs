//! The resource `canvas`.

use std::cell::RefCell;

use crate::exports::demo::image_filter::filters::{
    Canvas as CanvasHandle, CanvasBorrow, GuestCanvas, Picture,
};
use crate::pixels::PIXEL;

/// Borrowed handles are shared references, so what changes lies in a cell.
pub struct Canvas(RefCell<Picture>);

impl Canvas {
    fn blank(width: u32, height: u32) -> Self {
        let bytes = u128::from(width) * u128::from(height) * PIXEL as u128;
        // A constructor has no error arm: what does not fit memory is a trap.
        let pixels = vec![0; usize::try_from(bytes).expect("a canvas of less than 4 GiB")];
        Self(RefCell::new(Picture {
            width,
            height,
            pixels,
        }))
    }

    /// Copies the part of `other` that lies inside.
    fn paste(&self, other: &Picture, left: i64, top: i64) {
        let mut own = self.0.borrow_mut();
        let (width, height) = (i64::from(own.width), i64::from(own.height));
        for y in 0..i64::from(other.height) {
            for x in 0..i64::from(other.width) {
                let (to_x, to_y) = (left + x, top + y);
                if (0..width).contains(&to_x) && (0..height).contains(&to_y) {
                    let to = (to_y * width + to_x) as usize * PIXEL;
                    let from = (y * i64::from(other.width) + x) as usize * PIXEL;
                    own.pixels[to..to + PIXEL].copy_from_slice(&other.pixels[from..from + PIXEL]);
                }
            }
        }
    }
}

impl GuestCanvas for Canvas {
    fn new(width: u32, height: u32) -> Self {
        Self::blank(width, height)
    }

    fn size(&self) -> (u32, u32) {
        let own = self.0.borrow();
        (own.width, own.height)
    }

    fn fill(&self, red: u8, green: u8, blue: u8) {
        for pixel in self.0.borrow_mut().pixels.chunks_exact_mut(PIXEL) {
            pixel.copy_from_slice(&[red, green, blue, 255]);
        }
    }

    fn draw(&self, other: CanvasBorrow<'_>, left: i32, top: i32) {
        // A copy, because a canvas may be drawn on itself.
        let other = other.get::<Self>().0.borrow().clone();
        self.paste(&other, i64::from(left), i64::from(top));
    }

    fn picture(&self) -> Picture {
        self.0.borrow().clone()
    }

    fn join(left: CanvasHandle, right: CanvasHandle) -> CanvasHandle {
        let (left, right) = (
            left.into_inner::<Self>().0.into_inner(),
            right.into_inner::<Self>().0.into_inner(),
        );
        let joined = Self::blank(left.width + right.width, left.height.max(right.height));
        joined.paste(&left, 0, 0);
        joined.paste(&right, i64::from(left.width), 0);
        CanvasHandle::new(joined)
    }
}
