//! Memory for chunks, used again.
//!
//! A chunk is made by one thread and let go of by another, and the allocator keeps what each thread made for
//! that thread: a create took up to twice what its chunks need at any time together, and had the kernel clear
//! new pages for much of what it read. What is given back here is taken by whoever needs it next. There is one
//! of it for the process, as there is one allocator, which it stands in front of.

use std::mem;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use bytes::Bytes;

/// What is smaller, in bytes, is left to the allocator. New rooms are multiples of it, so that one that a
/// chunk left fits for the next, and for what that one is compressed into.
const STEP: usize = 2 << 20;
/// What is larger, in bytes, is not kept: a chunk of a database above 32 GiB, or one with a huge row. The
/// allocator maps each of these by itself and gives it back to the system, so that no more of it is in memory
/// than was written to (glibc's `DEFAULT_MMAP_THRESHOLD_MAX`: from 32 MiB).
const LARGEST: usize = 30 << 20;
/// How many rooms are kept at most that nobody uses.
const MOST: usize = 8;
/// What a chunk takes at most, in bytes, that grows by doubling: it stays below what is kept.
const SMALL: usize = 1 << 20;

static ROOMS: Rooms = Rooms::new();

/// Has what is given back kept, until the last of these is dropped.
#[derive(Debug)]
#[must_use]
pub struct Keeper(());

impl Drop for Keeper {
    fn drop(&mut self) {
        ROOMS.leave();
    }
}

/// Has what is given back from now on kept for those who take it.
pub fn keep() -> Keeper {
    ROOMS.keep();
    Keeper(())
}

/// Returns empty memory for so many bytes at least: the smallest that is free, or new one.
pub fn take(bytes: usize) -> Vec<u8> {
    ROOMS.take(bytes)
}

/// Makes room in a chunk for `length` bytes. One that is more than a small one is given room for a `whole`
/// chunk at once, since memory that grows may be copied every time; beyond that it grows by little, since
/// memory that doubled would be mostly empty.
pub fn grow(chunk: &mut Vec<u8>, length: usize, whole: usize) {
    ROOMS.grow(chunk, length, whole);
}

/// Returns these bytes in no more memory than they take. A room that others can use is left to them.
pub fn fit(mut room: Vec<u8>) -> Bytes {
    if is_kept(&room) {
        let bytes = Bytes::copy_from_slice(&room);
        give_back(room);
        return bytes;
    }
    room.shrink_to_fit();
    Bytes::from(room)
}

/// Gives memory back whose bytes nobody needs.
pub fn give_back(room: Vec<u8>) {
    ROOMS.give_back(room);
}

fn is_kept(room: &Vec<u8>) -> bool {
    (STEP..=LARGEST).contains(&room.capacity())
}

/// Rooms that nobody uses.
struct Rooms(Mutex<Free>);

struct Free {
    keepers: usize,
    rooms: Vec<Vec<u8>>,
}

impl Rooms {
    const fn new() -> Self {
        Self(Mutex::new(Free { keepers: 0, rooms: Vec::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        // Nothing is left half done where a thread panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self) {
        self.lock().keepers += 1;
    }

    fn leave(&self) {
        let mut free = self.lock();
        free.keepers -= 1;
        if free.keepers == 0 {
            free.rooms = Vec::new();
        }
    }

    fn take(&self, bytes: usize) -> Vec<u8> {
        if bytes < STEP {
            return Vec::with_capacity(bytes);
        }
        let rooms = &mut self.lock().rooms;
        let fitting = (0..rooms.len()).filter(|&at| rooms[at].capacity() >= bytes);
        match fitting.min_by_key(|&at| rooms[at].capacity()) {
            Some(smallest) => rooms.swap_remove(smallest),
            None => Vec::with_capacity(bytes.next_multiple_of(STEP)),
        }
    }

    fn grow(&self, chunk: &mut Vec<u8>, length: usize, whole: usize) {
        if length <= chunk.capacity() || length < SMALL {
            return;
        }
        if length > whole {
            chunk.reserve_exact(length + STEP - chunk.len());
            return;
        }
        let mut room = self.take(whole);
        room.extend_from_slice(chunk);
        self.give_back(mem::replace(chunk, room));
    }

    fn give_back(&self, mut room: Vec<u8>) {
        let mut free = self.lock();
        if free.keepers == 0 || !is_kept(&room) {
            return;
        }
        room.clear();
        free.rooms.push(room);
        if free.rooms.len() > MOST {
            let smallest = (0..=MOST).min_by_key(|&at| free.rooms[at].capacity());
            smallest.map(|at| free.rooms.swap_remove(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn capacities(rooms: &Rooms) -> Vec<usize> {
        let free = rooms.lock();
        let mut found: Vec<usize> = free.rooms.iter().map(|room| room.capacity() / MIB).collect();
        found.sort_unstable();
        found
    }

    fn room(mib: usize) -> Vec<u8> {
        let mut room = Vec::with_capacity(mib * MIB);
        room.push(1);
        room
    }

    #[test]
    fn what_is_given_back_is_taken_again_as_long_as_somebody_keeps_it() {
        let rooms = Rooms::new();
        rooms.give_back(room(4));
        assert!(capacities(&rooms).is_empty(), "nobody keeps it");
        rooms.keep();
        rooms.keep();
        for mib in [8, 4, 6] {
            rooms.give_back(room(mib));
        }
        let taken = rooms.take(5 * MIB);
        assert_eq!((taken.len(), taken.capacity()), (0, 6 * MIB));
        let new = rooms.take(8 * MIB + 1);
        assert_eq!((new.len(), new.capacity()), (0, 10 * MIB));
        rooms.leave();
        assert_eq!(capacities(&rooms), [4, 8]);
        rooms.leave();
        assert!(capacities(&rooms).is_empty());
    }

    #[test]
    fn neither_small_nor_huge_nor_many_rooms_are_kept() {
        let rooms = Rooms::new();
        rooms.keep();
        rooms.give_back(Vec::with_capacity(STEP - 1));
        rooms.give_back(Vec::with_capacity(LARGEST + 1));
        assert!(capacities(&rooms).is_empty());
        rooms.give_back(room(LARGEST / MIB));
        (2..=10).for_each(|mib| rooms.give_back(room(mib)));
        assert_eq!(capacities(&rooms), [4, 5, 6, 7, 8, 9, 10, 30]);
    }

    #[test]
    fn a_chunk_grows_into_hardly_more_memory_than_its_bytes() {
        let (rooms, whole) = (Rooms::new(), 16 * MIB);
        let (mut chunk, mut rows) = (Vec::new(), 0_u64);
        while chunk.len() < 20 * MIB {
            let row = rows.to_be_bytes().repeat(10_000);
            let length = chunk.len() + row.len();
            rooms.grow(&mut chunk, length, whole);
            chunk.extend_from_slice(&row);
            let most = if length < SMALL { 2 * length } else { whole.max(length) + STEP };
            assert!(chunk.capacity() <= most, "{} for {length}", chunk.capacity());
            rows += 1;
        }
        let expected = (0..rows).flat_map(|row| row.to_be_bytes().repeat(10_000));
        assert!(chunk.iter().copied().eq(expected));
    }

    #[test]
    fn bytes_that_stay_take_no_room() {
        for mib in [1, 4, 40] {
            let room = room(mib);
            let bytes = fit(room);
            assert_eq!(&bytes[..], [1]);
            assert!(Vec::from(bytes).capacity() < MIB);
        }
    }
}
