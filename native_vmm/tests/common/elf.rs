//! ELF files of a few segments.

/// One segment of an image: address, flags, content, bytes in memory.
pub type Segment<'s> = (u64, u32, &'s [u8], u64);

/// An ELF file with these segments.
pub fn elf(entry: u64, segments: &[Segment<'_>]) -> Vec<u8> {
    let count = u16::try_from(segments.len()).unwrap_or(u16::MAX);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2_u16, 62, 1, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [entry, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [0_u16, 0, 64, 56, count, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut offset = 64 + 56 * segments.len() as u64;
    for (address, flags, content, bytes) in segments {
        file.extend(1_u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        let length = content.len() as u64;
        for word in [offset, *address, *address, length, *bytes, 1] {
            file.extend(word.to_le_bytes());
        }
        offset += length;
    }
    for (_, _, content, _) in segments {
        file.extend(*content);
    }
    file
}
