//! Where one chunk ends and the next begins.
//!
//! A table with a key is cut at key values, which stay: the next snapshot reads the same ranges
//! and cuts only what outgrew them, so that an inserted row changes one chunk. Rows that come in
//! the engine's own order have no such values: there the hash of a row decides, so that the same
//! rows are cut at the same places again. It is the one that the digest of the rows is made of,
//! since no row is hashed twice; a version that digests rows by another hash cuts such tables anew,
//! and writes them anew, once.

use serde_json::Value;

use crate::base::rooms;
use crate::source::mariadb::imprint::Trace;

/// How large chunks become, in raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Where a new chunk is cut.
    pub(super) target: usize,
    /// Where a chunk that had its place already is cut again.
    limit: usize,
}

impl Sizes {
    /// Returns sizes for a database of so many bytes. There are two targets and nothing between: a
    /// database that grows a little must not be cut anew everywhere.
    pub(super) const fn for_database(bytes: u64) -> Self {
        const LARGE: u64 = 32 << 30;
        let target = if bytes > LARGE { 32 << 20 } else { 16 << 20 };
        Self { target, limit: target + (8 << 20) }
    }

    /// Returns how many readers may hold a chunk each, so that all chunks in memory together stay
    /// under 256 MiB.
    pub(super) const fn readers(self) -> usize {
        const MEMORY: usize = 256 << 20;
        /// Chunks that readers have handed on: one waits, two are hashed and compressed, one of these
        /// against another one of an earlier snapshot. What two are compressed into is not counted: it
        /// fits beside them for as long as not all chunks are at their limit.
        const HANDED_ON: usize = 4;
        MEMORY / self.limit - HANDED_ON
    }

    /// Returns how many bytes of packets a reader may hold in the place of a chunk.
    pub(super) const fn longest_packets(self) -> u64 {
        self.limit as u64
    }

    /// Returns the memory, in bytes, that a chunk is given which is no small one: most are cut in it.
    const fn room_bytes(self) -> usize {
        self.target + (2 << 20)
    }

    /// Returns the size under which a chunk that shrank joins the next one.
    const fn smallest(self) -> usize {
        self.target / 4
    }
}

/// Rows on their way to becoming a chunk.
pub(super) struct Piece {
    /// The key at which it begins; `Null` for the first of a table, and where there is no key.
    pub(super) from: Value,
    pub(super) rows: u64,
    pub(super) bytes: Vec<u8>,
    /// What was noted of its rows, where they are cut at keys.
    pub(super) trace: Trace,
}

impl Piece {
    fn starting(from: Value) -> Self {
        Self { from, rows: 0, bytes: Vec::new(), trace: Trace::default() }
    }

    /// Adds a row of a chunk of these sizes.
    fn add(&mut self, line: &[u8], sizes: Sizes) {
        let length = self.bytes.len() + line.len() + 1;
        rooms::grow(&mut self.bytes, length, sizes.room_bytes());
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.rows += 1;
    }
}

/// Cuts the rows of one key range.
pub(super) struct KeyCutter {
    piece: Piece,
    sizes: Sizes,
    /// The size at which the piece is cut: at once for new ranges, late for those that stayed.
    limit: usize,
    /// Where the piece will be cut once it is over its limit.
    cut: Option<Cut>,
}

struct Cut {
    from: Value,
    rows: u64,
    length: usize,
    /// What was noted of the rows before the cut, and of those behind it.
    before: Trace,
    behind: Trace,
}

impl KeyCutter {
    /// Returns a cutter for a range; `previous_bytes` is what it held in the last snapshot.
    pub(super) fn new(sizes: Sizes, from: Value, previous_bytes: Option<u64>) -> Self {
        let limit = if previous_bytes.is_some() { sizes.limit } else { sizes.target };
        Self { piece: Piece::starting(from), sizes, limit, cut: None }
    }

    /// Goes on with the next range, the unfinished piece of this one in front.
    pub(super) fn go_on(&mut self, previous_bytes: Option<u64>) {
        self.limit = if previous_bytes.is_some() { self.sizes.limit } else { self.sizes.target };
    }

    /// Returns whether the piece may end before the next row: then [`cut_here`](Self::cut_here) wants to
    /// know its key.
    pub(super) fn wants_cut(&self) -> bool {
        self.cut.is_none() && self.piece.bytes.len() >= self.sizes.target
    }

    /// Remembers that the piece may end before the next row, which has this key. All packets before it
    /// have been [`seen`](Self::saw).
    pub(super) fn cut_here(&mut self, from: Value) {
        let (rows, length) = (self.piece.rows, self.piece.bytes.len());
        let (before, behind) = (self.piece.trace.clone(), Trace::default());
        self.cut = Some(Cut { from, rows, length, before, behind });
    }

    /// Notes packets that were read, as [`Trace::add_packets`] does.
    pub(super) fn saw(&mut self, frames: Option<&[u8]>) {
        self.piece.trace.add_packets(frames);
        if let Some(cut) = &mut self.cut {
            cut.behind.add_packets(frames);
        }
    }

    /// Adds a row, with the hash of its line; returns the piece before the cut when that is complete.
    pub(super) fn push(&mut self, line: &[u8], hash: u128) -> Option<Piece> {
        self.piece.add(line, self.sizes);
        self.piece.trace.add_row(hash);
        if let Some(cut) = &mut self.cut {
            cut.behind.add_row(hash);
        }
        if self.piece.bytes.len() <= self.limit {
            return None;
        }
        let cut = self.cut.take()?;
        let mut next = Piece::starting(cut.from);
        next.bytes = self.piece.bytes.split_off(cut.length);
        self.piece.bytes.shrink_to(self.sizes.room_bytes());
        next.rows = self.piece.rows - cut.rows;
        (self.piece.rows, self.piece.trace, next.trace) = (cut.rows, cut.before, cut.behind);
        // What follows the cut is new ground.
        self.limit = self.sizes.target;
        Some(std::mem::replace(&mut self.piece, next))
    }

    /// Returns where the piece begins, as long as no row has been added.
    pub(super) fn begins(&self) -> Option<&Value> {
        (self.piece.rows == 0).then_some(&self.piece.from)
    }

    /// Returns whether the piece has shrunk so much since the last snapshot that it should join
    /// the next range. One that did not change never joins: it would be written anew for nothing.
    pub(super) fn joins_next(&self, previous_bytes: Option<u64>) -> bool {
        let length = self.piece.bytes.len();
        let is_unchanged = previous_bytes == u64::try_from(length).ok();
        length < self.sizes.smallest() && !is_unchanged
    }

    /// Returns the last piece of the range.
    pub(super) fn finish(self) -> Piece {
        self.piece
    }
}

/// Cuts rows that come in the engine's own order.
pub(super) struct HashCutter {
    piece: Piece,
    sizes: Sizes,
}

impl HashCutter {
    /// Returns a cutter for a table.
    pub(super) fn new(sizes: Sizes) -> Self {
        Self { piece: Piece::starting(Value::Null), sizes }
    }

    /// Adds a row with its hash; returns the piece that ends with it when that is complete.
    ///
    /// Between half the target and twice the target a row ends its piece with a chance of its
    /// length over the target, whatever rows stand around it.
    pub(super) fn push(&mut self, line: &[u8], hash: u128) -> Option<Piece> {
        self.piece.add(line, self.sizes);
        let length = self.piece.bytes.len();
        let chance = (line.len() as u128 + 1) << 64;
        let is_chosen = (hash >> 64) * (self.sizes.target as u128) < chance;
        let is_complete = length >= self.sizes.target / 2 && is_chosen;
        (is_complete || length >= self.sizes.limit)
            .then(|| std::mem::replace(&mut self.piece, Piece::starting(Value::Null)))
    }

    /// Returns the last piece of the table.
    pub(super) fn finish(self) -> Piece {
        self.piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::RowsDigest;
    use proptest::prelude::*;

    const SIZES: Sizes = Sizes { target: 100, limit: 200 };

    fn line(number: usize) -> Vec<u8> {
        format!("{number:09}").into_bytes()
    }

    fn push(cutter: &mut KeyCutter, line: &[u8], key: Value) -> Option<Piece> {
        if cutter.wants_cut() {
            cutter.cut_here(key);
        }
        let piece = cutter.push(line, RowsDigest::default().add(line));
        cutter.saw(Some(line));
        piece
    }

    fn cut_by_key(rows: std::ops::Range<usize>, previous_bytes: Option<u64>) -> Vec<Piece> {
        let mut cutter = KeyCutter::new(SIZES, Value::Null, previous_bytes);
        let mut pieces: Vec<_> =
            rows.filter_map(|row| push(&mut cutter, &line(row), row.into())).collect();
        pieces.push(cutter.finish());
        pieces
    }

    #[test]
    fn chunks_have_one_size_or_its_double_and_fit_into_memory() {
        for (bytes, target, readers) in
            [(0, 16, 6), (32 << 30, 16, 6), ((32 << 30) + 1, 32, 2), (u64::MAX, 32, 2)]
        {
            let sizes = Sizes::for_database(bytes);
            assert_eq!((sizes.target >> 20, sizes.readers()), (target, readers), "{bytes}");
        }
    }

    #[test]
    fn a_piece_takes_hardly_more_memory_than_its_rows() {
        let sizes = Sizes::for_database(0);
        let mut piece = Piece::starting(Value::Null);
        let row = vec![b'x'; 100_000];
        piece.add(&row[..10], sizes);
        assert!(piece.bytes.capacity() < 1_000, "a small table");
        for _ in 1..250 {
            piece.add(&row, sizes);
            let most = sizes.target.max(piece.bytes.len()) + (2 << 20);
            assert!(piece.bytes.capacity() <= most);
        }
        assert_eq!((piece.rows, piece.bytes.len()), (250, 24_900_260));
    }

    #[test]
    fn a_new_range_is_cut_at_the_target() {
        let pieces = cut_by_key(0..25, None);
        assert_eq!(pieces.iter().map(|piece| piece.rows).collect::<Vec<_>>(), [10, 10, 5]);
        assert_eq!(pieces[1].from, 10);
        assert_eq!(pieces[2].from, 20);
    }

    #[test]
    fn a_range_that_stayed_is_cut_only_when_it_is_far_too_large() {
        assert_eq!(cut_by_key(0..20, Some(100)).len(), 1);
        let pieces = cut_by_key(0..21, Some(100));
        assert_eq!(pieces.iter().map(|piece| piece.rows).collect::<Vec<_>>(), [10, 11]);
        assert_eq!(pieces[1].from, 10);
    }

    #[test]
    fn only_a_range_that_shrank_joins_the_next() {
        let mut cutter = KeyCutter::new(SIZES, Value::Null, Some(100));
        assert!(push(&mut cutter, &line(1), Value::Null).is_none());
        assert!(cutter.joins_next(Some(100)));
        assert!(!cutter.joins_next(Some(10)));
    }

    #[test]
    fn a_row_larger_than_a_chunk_is_one_chunk() {
        let mut cutter = KeyCutter::new(SIZES, Value::Null, None);
        assert!(push(&mut cutter, &[b'x'; 1_000], 1.into()).is_none());
        let first = push(&mut cutter, b"next", 2.into()).unwrap();
        assert_eq!((first.rows, first.bytes.len()), (1, 1_001));
        assert_eq!(cutter.finish().from, 2);
    }

    proptest! {
        #[test]
        fn pieces_joined_are_the_rows(count in 0_usize..200, previous in proptest::option::of(0_u64..300)) {
            let pieces = cut_by_key(0..count, previous);
            let joined: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
            let rows: Vec<u8> = (0..count).flat_map(|row| [line(row), vec![b'\n']].concat()).collect();
            prop_assert_eq!(joined, rows);
            prop_assert_eq!(pieces.iter().map(|piece| piece.rows).sum::<u64>(), count as u64);
        }

        #[test]
        fn hashed_cuts_find_their_places_again_after_a_change(start in 0_usize..30) {
            let cut = |rows: std::ops::Range<usize>| {
                let mut cutter = HashCutter::new(SIZES);
                let mut pieces: Vec<_> = rows.filter_map(|row| {
                    let hash = RowsDigest::default().add(&line(row));
                    cutter.push(&line(row), hash)
                }).collect();
                pieces.push(cutter.finish());
                pieces
            };
            let all = cut(0..2_000);
            let less = cut(start..2_000);
            let known = less.iter().filter(|piece| all.iter().any(|it| it.bytes == piece.bytes)).count();
            prop_assert!(known * 10 >= less.len() * 8, "{known} of {}", less.len());
        }
    }
}
