//! Pictures and what can be done to them: the Rust side of `wit/world.wit`.

wit_bindgen::generate!({ world: "image-filter", path: "wit" });

mod canvas;
mod pixels;

use exports::demo::image_filter::filters::{Filter, Guest, Picture, Problem};
use pixels::{blur, check, crop, each_color};

struct Component;

impl Guest for Component {
    type Canvas = canvas::Canvas;

    fn apply(picture: Picture, filters: Vec<Filter>) -> Result<Picture, Problem> {
        check(&picture)?;
        let mut picture = picture;
        let total = u32::try_from(filters.len()).unwrap_or(u32::MAX);
        for (done, filter) in (1..).zip(filters) {
            picture = filtered(picture, filter)?;
            if !progress(done, total) {
                return Err(Problem::Stopped);
            }
        }
        Ok(picture)
    }

    fn histogram(picture: Picture) -> Result<(Vec<u32>, Vec<u32>, Vec<u32>), Problem> {
        check(&picture)?;
        let mut counts = [[0; 256]; 3];
        for pixel in picture.pixels.chunks_exact(4) {
            for (count, value) in counts.iter_mut().zip(pixel) {
                count[usize::from(*value)] += 1;
            }
        }
        let [red, green, blue] = counts;
        Ok((red.to_vec(), green.to_vec(), blue.to_vec()))
    }
}

fn filtered(mut picture: Picture, filter: Filter) -> Result<Picture, Problem> {
    match filter {
        Filter::Grayscale => {
            for pixel in picture.pixels.chunks_exact_mut(4) {
                // Luminance by Rec. 709, in 1/256.
                let gray =
                    54 * u32::from(pixel[0]) + 183 * u32::from(pixel[1]) + 19 * u32::from(pixel[2]);
                pixel[..3].fill((gray >> 8) as u8);
            }
        }
        Filter::Invert => each_color(&mut picture, |value| 255 - value),
        // A cast from float to integer saturates, and turns NaN to 0.
        Filter::Brightness(factor) => {
            each_color(&mut picture, |value| {
                (f32::from(value) * factor).round() as u8
            });
        }
        Filter::Blur(radius) => blur(&mut picture, usize::from(radius)),
        Filter::Crop(rectangle) => return crop(&picture, rectangle),
    }
    Ok(picture)
}

export!(Component);
