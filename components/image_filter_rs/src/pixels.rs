//! Work on the bytes of a picture.

use crate::exports::demo::image_filter::filters::{Picture, Problem};

/// Bytes of a pixel: red, green, blue, alpha.
pub const PIXEL: usize = 4;

/// The picture must have as many pixels as it says.
pub fn check(picture: &Picture) -> Result<(), Problem> {
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    let wanted = pixels.saturating_mul(PIXEL as u64);
    if wanted == picture.pixels.len() as u64 {
        Ok(())
    } else {
        Err(Problem::WrongSize(wanted))
    }
}

/// Changes red, green and blue of each pixel.
pub fn each_color(picture: &mut Picture, change: impl Fn(u8) -> u8) {
    for pixel in picture.pixels.chunks_exact_mut(PIXEL) {
        for value in &mut pixel[..3] {
            *value = change(*value);
        }
    }
}

/// Mean of the pixels within `radius` along rows, then along columns; edges count repeatedly.
pub fn blur(picture: &mut Picture, radius: usize) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    if width == 0 || height == 0 {
        return;
    }
    for row in 0..height {
        blur_line(
            &mut picture.pixels,
            row * width * PIXEL,
            PIXEL,
            width,
            radius,
        );
    }
    for column in 0..width {
        blur_line(
            &mut picture.pixels,
            column * PIXEL,
            width * PIXEL,
            height,
            radius,
        );
    }
}

/// Blurs `length` pixels that lie `step` bytes apart, with a running sum.
fn blur_line(pixels: &mut [u8], start: usize, step: usize, length: usize, radius: usize) {
    for channel in 0..PIXEL {
        let line: Vec<u32> = (0..length)
            .map(|i| u32::from(pixels[start + i * step + channel]))
            .collect();
        let at = |i: isize| line[i.clamp(0, length as isize - 1) as usize];
        let reach = radius as isize;
        let count = 2 * radius as u32 + 1;
        let mut sum: u32 = (-reach..=reach).map(at).sum();
        for i in 0..length {
            pixels[start + i * step + channel] = ((sum + count / 2) / count) as u8;
            let here = i as isize;
            sum = sum + at(here + reach + 1) - at(here - reach);
        }
    }
}

/// The rectangle left, top, width, height of a picture.
pub fn crop(picture: &Picture, rectangle: (u32, u32, u32, u32)) -> Result<Picture, Problem> {
    let (left, top, width, height) = rectangle;
    let fits =
        |start: u32, length: u32, all: u32| start.checked_add(length).is_some_and(|end| end <= all);
    if !fits(left, width, picture.width) || !fits(top, height, picture.height) {
        return Err(Problem::Outside(rectangle));
    }
    let row_bytes = picture.width as usize * PIXEL;
    let (first, bytes) = (left as usize * PIXEL, width as usize * PIXEL);
    let mut pixels = Vec::with_capacity(bytes * height as usize);
    for row in top..top + height {
        let start = row as usize * row_bytes + first;
        pixels.extend_from_slice(&picture.pixels[start..start + bytes]);
    }
    Ok(Picture {
        width,
        height,
        pixels,
    })
}
