//! Guest images that are not what they should be.

mod common;

use common::TestResult;
use common::elf::{Segment, elf};
use common::micro_guest::file;
use host_guest_abi::layout::{IMAGE, IMAGE_END, PAGE_BYTES};
use native_vmm::loader::{GuestImage, ImageError};

const CODE: &[u8] = &[0x0f, 0x0b];
const READ: u32 = 4;
const WRITE: u32 = 2;
const EXECUTE: u32 = 1;
const CODE_SEGMENT: Segment<'static> = (IMAGE, READ | EXECUTE, CODE, PAGE_BYTES);

fn parse(entry: u64, segments: &[Segment<'_>]) -> Result<GuestImage, ImageError> {
    GuestImage::new(&elf(entry, segments))
}

#[test]
fn a_good_image_keeps_its_rights() -> TestResult {
    let data = (
        IMAGE + 2 * PAGE_BYTES + 8,
        READ | WRITE,
        &b"data"[..],
        PAGE_BYTES,
    );
    let image = parse(IMAGE, &[CODE_SEGMENT, data])?;
    assert_eq!(image.entry, IMAGE);
    let segments: Vec<_> = image
        .segments
        .iter()
        .map(|s| (s.address - IMAGE, s.bytes, s.writable, s.executable))
        .collect();
    assert_eq!(
        segments,
        [(0, 0x1000, false, true), (0x2000, 0x2000, true, false)]
    );
    Ok(())
}

#[test]
fn bad_segments_are_refused() {
    let bad: [Segment<'_>; 8] = [
        (IMAGE - PAGE_BYTES, READ, CODE, PAGE_BYTES),
        (IMAGE_END - 1, READ, CODE, 2),
        (u64::MAX, READ, CODE, 2),
        (IMAGE + PAGE_BYTES, READ | WRITE | EXECUTE, CODE, PAGE_BYTES),
        // Shares the page of the code.
        (IMAGE + 64, READ | WRITE, CODE, 2),
        // More in the file than in memory.
        (IMAGE + PAGE_BYTES, READ, CODE, 1),
        (IMAGE + PAGE_BYTES, READ, CODE, u64::MAX),
        (0, READ, CODE, u64::MAX),
    ];
    for segment in bad {
        let result = parse(IMAGE, &[CODE_SEGMENT, segment]);
        let refused = matches!(result, Err(ImageError::Segment(address)) if address == segment.0);
        assert!(refused, "{segment:x?}: {result:?}");
    }
}

#[test]
fn the_entry_must_be_code() {
    let data = (IMAGE + PAGE_BYTES, READ | WRITE, CODE, PAGE_BYTES);
    for entry in [0, IMAGE - 1, IMAGE + PAGE_BYTES, IMAGE_END] {
        let result = parse(entry, &[CODE_SEGMENT, data]);
        assert!(
            matches!(result, Err(ImageError::Entry(_))),
            "{entry:#x}: {result:?}"
        );
    }
    assert!(matches!(parse(IMAGE, &[]), Err(ImageError::Entry(_))));
}

#[test]
fn cut_files_are_refused_and_never_panic() {
    let whole = file();
    for length in 0..whole.len() {
        assert!(GuestImage::new(&whole[..length]).is_err(), "{length}");
    }
    assert!(GuestImage::new(&whole).is_ok());
}

#[test]
fn damaged_headers_never_panic() {
    let whole = file();
    for index in 0..64 + 3 * 56 {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[index] = value;
            // Some are still good images; the rest are refused.
            let _ = GuestImage::new(&damaged);
        }
    }
}
