//! Memory for chunks, which is used again.
//!
//! What is given back to the system comes back page by page, each of them cleared: a tenth of the
//! time of a snapshot went into that. A few buffers of the size of a chunk go round instead.

use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Mutex;

/// What is worth keeping, in bytes: no small document, and no row that fills memory by itself.
const LEAST_KEPT: usize = 1 << 20;
const MOST_KEPT: usize = 42 << 20;

/// As many as one execution has in its hands at most.
const KEPT: usize = 8;

/// Buffers that nobody needs now, empty.
static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

const UNPOISONED: &str = "nobody panics while a buffer changes hands";

/// Bytes in memory that came from somebody before, and goes to somebody after.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// Returns an empty buffer with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        if !(LEAST_KEPT..=MOST_KEPT).contains(&bytes) {
            return Self(Vec::with_capacity(bytes));
        }
        // Not much more than is wanted: whoever counts memory by chunks shall be right.
        let fits = bytes..=bytes + bytes / 4;
        let mut free = FREE.lock().expect(UNPOISONED);
        let fitting = free.iter().position(|buffer| fits.contains(&buffer.capacity()));
        let found = fitting.map(|position| free.swap_remove(position));
        drop(free);
        Self(found.unwrap_or_else(|| Vec::with_capacity(bytes)))
    }

    /// Returns the bytes, whose memory does not come back.
    pub fn into_vec(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !(LEAST_KEPT..=MOST_KEPT).contains(&self.0.capacity()) {
            return;
        }
        let mut bytes = std::mem::take(&mut self.0);
        bytes.clear();
        let mut free = FREE.lock().expect(UNPOISONED);
        if free.len() < KEPT {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A size that no other test asks for.
    const ROOM: usize = MOST_KEPT - 7;

    #[test]
    fn memory_of_the_size_of_a_chunk_is_used_again_and_comes_empty() {
        let mut first = Buffer::with_capacity(ROOM);
        first.extend_from_slice(b"row");
        let place = first.as_ptr();
        drop(first);
        let second = Buffer::with_capacity(ROOM);
        assert_eq!((second.as_ptr(), second.len()), (place, 0));
        assert_ne!(Buffer::with_capacity(ROOM).as_ptr(), place, "it is in use");
    }

    #[test]
    fn what_is_small_or_huge_is_not_kept() {
        for bytes in [LEAST_KEPT - 1, MOST_KEPT + 1] {
            drop(Buffer::with_capacity(bytes));
            let free = FREE.lock().expect(UNPOISONED);
            assert!(free.iter().all(|buffer| buffer.capacity() != bytes));
        }
        assert_eq!(Buffer::from(b"x".to_vec()).into_vec(), b"x");
    }
}
