//! Memory for chunks, used again.
//!
//! A chunk is made by one thread and let go of by another, and the allocator keeps what each thread made for
//! that thread: a create took up to twice what its chunks need at any time together, and had the kernel clear
//! new pages for much of what it read. What is given back here is taken by whoever needs it next.

use std::mem;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// What is smaller, in bytes, is left to the allocator. Rooms are multiples of it, so that one that a chunk
/// left fits for the next, and for what that one is compressed into.
const STEP: usize = 2 << 20;
/// What a chunk takes at most, in bytes, that grows as memory does: less than is kept.
const SMALL: usize = 1 << 20;
/// What is larger, in bytes, held a huge row, and is not kept.
const LARGEST: usize = 48 << 20;
/// How many rooms are kept at most: as many as there are chunks on their way.
const MOST: usize = 8;

static FREE: Mutex<Free> = Mutex::new(Free { keepers: 0, rooms: Vec::new() });

/// Rooms that nobody uses.
struct Free {
    keepers: usize,
    rooms: Vec<Vec<u8>>,
}

impl Free {
    fn keep(&mut self) {
        self.keepers += 1;
    }

    fn leave(&mut self) {
        self.keepers -= 1;
        if self.keepers == 0 {
            self.rooms = Vec::new();
        }
    }

    fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let fitting =
            self.rooms.iter().map(Vec::capacity).enumerate().filter(|&(_, room)| room >= bytes);
        let (position, _) = fitting.min_by_key(|&(_, room)| room)?;
        Some(self.rooms.swap_remove(position))
    }

    fn give_back(&mut self, mut room: Vec<u8>) {
        if self.keepers == 0 || !(STEP..=LARGEST).contains(&room.capacity()) {
            return;
        }
        room.clear();
        self.rooms.push(room);
        if self.rooms.len() > MOST {
            let smallest = (0..).zip(&self.rooms).min_by_key(|(_, room)| room.capacity());
            smallest.map(|(position, _)| position).map(|position| self.rooms.swap_remove(position));
        }
    }
}

fn free() -> MutexGuard<'static, Free> {
    // Nothing is left half done where a thread panics.
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has what is given back kept, until the last of these is dropped.
#[derive(Debug)]
#[must_use]
pub struct Keeper(());

impl Drop for Keeper {
    fn drop(&mut self) {
        free().leave();
    }
}

/// Has what is given back from now on kept for those who take it.
pub fn keep() -> Keeper {
    free().keep();
    Keeper(())
}

/// Returns empty memory for so many bytes at least: the smallest that is free, or new one.
pub fn take(bytes: usize) -> Vec<u8> {
    if bytes < STEP {
        return Vec::with_capacity(bytes);
    }
    let found = free().take(bytes);
    found.unwrap_or_else(|| Vec::with_capacity(bytes.next_multiple_of(STEP)))
}

/// Makes room in a chunk for `length` bytes. One that is more than a small one is given room for a `whole`
/// chunk at once, since memory that grows may be copied every time; beyond that it grows by little, since
/// memory that doubled would be mostly empty.
pub fn grow(chunk: &mut Vec<u8>, length: usize, whole: usize) {
    if length <= chunk.capacity() || length < SMALL {
        return;
    }
    if length > whole {
        chunk.reserve_exact(length + STEP - chunk.len());
        return;
    }
    let mut room = take(whole);
    room.extend_from_slice(chunk);
    give_back(mem::replace(chunk, room));
}

/// Gives memory back whose bytes nobody needs.
pub fn give_back(room: Vec<u8>) {
    free().give_back(room);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn capacities(free: &Free) -> Vec<usize> {
        let mut found: Vec<usize> = free.rooms.iter().map(|room| room.capacity() / MIB).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn what_is_given_back_is_taken_again_as_long_as_somebody_keeps_it() {
        let mut free = Free { keepers: 0, rooms: Vec::new() };
        free.give_back(Vec::with_capacity(4 * MIB));
        assert!(free.take(MIB).is_none(), "nobody kept it");
        free.keep();
        free.keep();
        for mib in [8, 4, 6] {
            let mut room = Vec::with_capacity(mib * MIB);
            room.push(1);
            free.give_back(room);
        }
        let room = free.take(5 * MIB).unwrap();
        assert_eq!((room.len(), room.capacity()), (0, 6 * MIB));
        assert!(free.take(9 * MIB).is_none());
        free.leave();
        assert_eq!(capacities(&free), [4, 8]);
        free.leave();
        assert!(capacities(&free).is_empty());
    }

    #[test]
    fn neither_small_nor_huge_nor_many_rooms_are_kept() {
        let mut free = Free { keepers: 1, rooms: Vec::new() };
        free.give_back(Vec::with_capacity(STEP - 1));
        free.give_back(Vec::with_capacity(LARGEST + 1));
        assert!(capacities(&free).is_empty());
        for mib in 2..=11 {
            free.give_back(Vec::with_capacity(mib * MIB));
        }
        assert_eq!(capacities(&free), [4, 5, 6, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn a_chunk_takes_hardly_more_memory_than_its_bytes() {
        let (whole, row) = (16 * MIB, vec![b'x'; 100_000]);
        let mut chunk = Vec::new();
        while chunk.len() < 34 * MIB {
            let length = chunk.len() + row.len();
            grow(&mut chunk, length, whole);
            chunk.extend_from_slice(&row);
            let most = if length < SMALL { 2 * length } else { whole.max(length) + STEP };
            assert!(chunk.capacity() <= most, "{} for {length}", chunk.capacity());
        }
        assert!(chunk.iter().all(|&byte| byte == b'x'));
    }
}
