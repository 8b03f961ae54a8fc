//! What `snap` computes for a chunk, stage by stage, on one core and without a server.
//!
//! ```text
//! cargo bench --bench stages            all of it; what follows `--` filters by name
//! ```
//!
//! The rows are like those of `studio.sql`, and the same each time. Bytes are those of a chunk, raw,
//! whichever way it goes.

use divan::Bencher;
use divan::Divan;
use divan::counter::BytesCount;
use divan::counter::BytesFormat;
use divan::counter::ItemsCount;
use memchr::memchr_iter;
use studio_snap::source::mariadb::bench::BenchTable;

/// As many bytes as a chunk has.
const CHUNK_BYTES: usize = 16 << 20;

fn main() {
    let divan = Divan::default().sample_count(20).bytes_format(BytesFormat::Binary);
    divan.config_with_args().main();
}

/// The tables of `studio.sql` that have many rows.
#[derive(Debug, Clone, Copy)]
enum Rows {
    /// A bit of everything.
    Element,
    /// Numbers, and a line of text.
    MetricState,
    /// Bytes that are no text.
    Image,
}

const TABLES: [Rows; 3] = [Rows::Element, Rows::MetricState, Rows::Image];

impl Rows {
    fn table(self) -> BenchTable {
        let columns: &[_] = match self {
            Self::Element => &[
                ("bigint", 0),
                ("int", 0),
                ("bigint", 0),
                ("varchar", 0),
                ("varchar", 0),
                ("double", 0),
                ("double", 0),
                ("int", 0),
                ("int", 0),
                ("longtext", 0),
                ("datetime", 3),
                ("timestamp", 0),
            ],
            Self::MetricState => {
                &[("bigint", 0), ("int", 0), ("tinyint", 0), ("double", 0), ("varchar", 0)]
            }
            Self::Image => &[("int", 0), ("varchar", 0), ("varchar", 0), ("longblob", 0)],
        };
        BenchTable::new(columns)
    }

    /// Returns one chunk of the table.
    fn chunk(self) -> Vec<u8> {
        let mut numbers = Numbers(42);
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        for id in 1.. {
            let line = match self {
                Self::Element => numbers.element(id),
                Self::MetricState => numbers.metric_state(id),
                Self::Image => numbers.image(id),
            };
            if chunk.len() + line.len() > CHUNK_BYTES {
                break;
            }
            chunk.extend_from_slice(&line);
        }
        chunk
    }
}

/// Numbers that look random, and are the same each time.
struct Numbers(u64);

impl Numbers {
    /// Returns a number below the limit.
    fn below(&mut self, limit: u32) -> u32 {
        // The generator of Knuth's MMIX, whose upper half is the better one.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let below = ((self.0 >> 32) * u64::from(limit)) >> 32;
        u32::try_from(below).expect("it is below the limit")
    }

    /// Returns a number from 1 to a little less than the limit, with all its digits.
    fn double(&mut self, limit: f64) -> f64 {
        1.0 + f64::from(self.below(u32::MAX)) / f64::from(u32::MAX) * (limit - 2.0)
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let count = u32::try_from(words.len()).expect("there are few words");
        words[self.below(count) as usize]
    }

    fn time(&mut self) -> String {
        let (month, day) = (1 + self.below(12), 1 + self.below(28));
        let (hour, minute, second) = (self.below(24), self.below(60), self.below(60));
        format!("2020-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    fn element(&mut self, id: u32) -> Vec<u8> {
        let kind = self.one_of(&["host", "service", "container", "link", "widget"]);
        let parent =
            if self.below(10) < 3 { "\\N".to_owned() } else { (1 + self.below(id)).to_string() };
        let label = if self.below(20) == 0 {
            "\\N".to_owned()
        } else {
            let role = self.one_of(&["srv", "db", "switch", "router", "app", "lb"]);
            let place = self.one_of(&["paris", "lyon", "toulouse", "montréal"]);
            format!("{role}-{:05}.{place}.example.net", self.below(100_000))
        };
        let (view, x, y) = (1 + self.below(5000), self.double(4000.0), self.double(3000.0));
        let (width, height) = (16 + self.below(200), 16 + self.below(200));
        let (fill, opacity, layer) = (self.below(0xff_ffff), self.below(100), self.below(9));
        let style = format!(
            r##"{{"fill":"#{fill:06X}","font":"Noto Sans","opacity":0.{opacity:02},"layer":{layer}}}"##
        );
        let (created, updated) = (self.time(), self.time());
        format!(
            "{id}\t{view}\t{parent}\t{kind}\t{label}\t{x}\t{y}\t{width}\t{height}\t{style}\t\
             {created}.000\t{updated}\n"
        )
        .into_bytes()
    }

    fn metric_state(&mut self, id: u32) -> Vec<u8> {
        let (element, time) = (1 + id / 3, 1_585_699_200 + id * 30);
        let (status, value) = (self.below(4), self.double(1000.0));
        let word = self.one_of(&["OK", "WARNING", "CRITICAL"]);
        let metric = self.one_of(&["load average", "disk usage", "response time"]);
        let (shown, exact) = (self.double(100.0), self.double(100.0));
        format!(
            "{element}\t{time}\t{status}\t{value}\t{word} - {metric}: {shown:.4} | \
             value={exact:.6};80;90;0;100\n"
        )
        .into_bytes()
    }

    fn image(&mut self, id: u32) -> Vec<u8> {
        let mut line = format!("{id}\ticon_{id}.png\timage/png\t").into_bytes();
        for _ in 0..880 {
            match u8::try_from(self.below(256)).expect("it is a byte") {
                0 => line.extend_from_slice(b"\\0"),
                b'\t' => line.extend_from_slice(b"\\t"),
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\\' => line.extend_from_slice(b"\\\\"),
                byte => line.push(byte),
            }
        }
        line.push(b'\n');
        line
    }
}

/// Counts the bytes and the rows of a chunk in what is measured.
fn counting<'a, 'b>(bencher: Bencher<'a, 'b>, chunk: &[u8]) -> Bencher<'a, 'b> {
    let rows = memchr_iter(b'\n', chunk).count();
    bencher.counter(BytesCount::new(chunk.len())).counter(ItemsCount::new(rows))
}

/// What becomes of rows that a create reads.
mod encoding {
    use super::Bencher;
    use super::Rows;
    use super::TABLES;
    use super::counting;
    use super::stored;

    /// Rows as the server sends them, until they are lines of a chunk, with their digest.
    #[divan::bench(args = TABLES)]
    fn rows_to_chunk(bencher: Bencher<'_, '_>, rows: Rows) {
        let (table, chunk) = (rows.table(), rows.chunk());
        let packets = table.packets(&chunk);
        assert!(table.encode(&packets) == chunk, "the rows are those of the chunk");
        counting(bencher, &chunk).bench_local(|| table.encode(&packets));
    }

    /// A chunk, until it is a blob to be stored: SHA-256 of what is raw, zstd, SHA-256 of what is not.
    #[divan::bench(args = TABLES)]
    fn chunk_to_blob(bencher: Bencher<'_, '_>, rows: Rows) {
        let (chunk, place) = (rows.chunk(), stored::Place::new());
        let writer = place.writer();
        counting(bencher, &chunk)
            .with_inputs(|| chunk.clone())
            .bench_local_values(|raw| place.wait(writer.pack(raw, None)));
    }
}

/// The way back: what a restore does with what is stored.
mod decoding {
    use super::Bencher;
    use super::Rows;
    use super::TABLES;
    use super::counting;
    use super::stored;

    /// A blob in a folder, until it is a chunk that is proven: what [`encoding`](super::encoding) does.
    #[divan::bench(args = TABLES)]
    fn blob_to_chunk(bencher: Bencher<'_, '_>, rows: Rows) {
        let (chunk, place) = (rows.chunk(), stored::Place::new());
        let blob = place.wait(place.writer().write(chunk.clone()));
        counting(bencher, &chunk).bench_local(|| place.wait(place.repository.read_blob(&blob)));
    }

    /// Lines of a chunk, until they are the bulks that go to the server, with their digests.
    #[divan::bench(args = TABLES)]
    fn chunk_to_bulks(bencher: Bencher<'_, '_>, rows: Rows) {
        let (table, chunk) = (rows.table(), rows.chunk());
        counting(bencher, &chunk).bench_local(|| table.bulks(&chunk));
    }
}

/// A repository for what is measured with one.
mod stored {
    use jiff::Timestamp;
    use studio_snap::base::error::Result;
    use studio_snap::base::rooms;
    use studio_snap::base::rooms::Keeper;
    use studio_snap::repository::Repository;
    use studio_snap::repository::lock::Holder;
    use studio_snap::repository::writer::Writer;
    use tempfile::TempDir;
    use tokio::runtime::Runtime;

    pub(super) struct Place {
        runtime: Runtime,
        pub(super) repository: Repository,
        _folder: TempDir,
        _kept: Keeper,
    }

    impl Place {
        pub(super) fn new() -> Self {
            let runtime = Runtime::new().expect("start a runtime");
            let folder = tempfile::tempdir().expect("make a folder");
            let (verb, host, since) = ("create".into(), "bench".into(), Timestamp::UNIX_EPOCH);
            let holder = Holder { verb, process: 1, host, since };
            let location = folder.path().to_str().expect("the path is UTF-8");
            let opened = runtime.block_on(Repository::open_or_create(location, holder));
            let repository = opened.expect("make a repository");
            Self { runtime, repository, _folder: folder, _kept: rooms::keep() }
        }

        pub(super) fn writer(&self) -> Writer {
            self.wait(self.repository.writer([]))
        }

        pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> T {
            self.runtime.block_on(work).expect("the repository is sound")
        }
    }
}

/// What proves bytes, and rows.
mod hashing {
    use studio_snap::base::digest::RowsDigest;
    use studio_snap::base::digest::of_raw;
    use studio_snap::base::digest::sha256;

    use super::Bencher;
    use super::Rows;
    use super::TABLES;
    use super::counting;

    /// The digest of the raw bytes of a chunk.
    #[divan::bench]
    fn raw_bytes(bencher: Bencher<'_, '_>) {
        let chunk = Rows::Element.chunk();
        counting(bencher, &chunk).bench_local(|| of_raw(&chunk));
    }

    /// The digest of as many stored bytes.
    #[divan::bench]
    fn stored_bytes(bencher: Bencher<'_, '_>) {
        let chunk = Rows::Element.chunk();
        counting(bencher, &chunk).bench_local(|| sha256(&chunk));
    }

    /// The digest of rows, line by line.
    #[divan::bench(args = TABLES)]
    fn rows(bencher: Bencher<'_, '_>, rows: Rows) {
        let chunk = rows.chunk();
        let lines: Vec<_> = chunk.split(|byte| *byte == b'\n').collect();
        let (_, lines) = lines.split_last().expect("behind the last line there is nothing");
        counting(bencher, &chunk).bench_local(|| {
            let mut digest = RowsDigest::default();
            for line in lines {
                digest.add(line);
            }
            digest
        });
    }
}

/// What becomes of the roles of a studio of 4.1 that moves to 4.2.
mod remapping {
    use std::collections::BTreeMap;

    use studio_snap::profile::roles::RoleRule;
    use studio_snap::profile::roles::mapping::Mapping;
    use studio_snap::profile::roles::mapping::UnknownRole;
    use studio_snap::profile::roles::remap::remap;
    use studio_snap::profile::roles::rows::plan_rows;
    use studio_snap::profile::roles::state::RoleState;
    use studio_snap::profile::roles::tables;
    use studio_snap::source::mariadb::roles::rows::Link;
    use studio_snap::source::mariadb::roles::rows::Linking;
    use studio_snap::source::mariadb::roles::rows::Named;
    use studio_snap::source::mariadb::roles::rows::RoleTables;

    use super::Bencher;
    use super::ItemsCount;

    const USERS: u64 = 10_000;
    const TENANTS: u64 = 20;

    /// Users with one system role each, and two tenants.
    fn studio() -> RoleTables {
        let names = |kind: &str, count| (1..=count).map(|id| (id, format!("{kind}{id}"))).collect();
        let roles = BTreeMap::from([(1, "user".to_owned()), (2, "admin".to_owned())]);
        let link = |holder, to| Link { holder, to, role: None };
        let roles_of = (1..=USERS).map(|user| link(user, 1 + user % 2));
        let tenants_of =
            (1..=USERS).flat_map(|user| [0, 7].map(|more| link(user, 1 + (user + more) % TENANTS)));
        RoleTables {
            names: BTreeMap::from([
                (Named::Roles, roles),
                (Named::Users, names("user", USERS)),
                (Named::Tenants, names("tenant", TENANTS)),
            ]),
            links: BTreeMap::from([
                (Linking::UsersRoles, roles_of.collect()),
                (Linking::UsersTenants, tenants_of.collect()),
            ]),
        }
    }

    fn mapping() -> Mapping {
        let mapping = Mapping::new(RoleRule::built_in(), &[], UnknownRole::Refuse);
        mapping.expect("the built-in rule has no contradiction")
    }

    /// Who may do what, before and after.
    #[divan::bench]
    fn state(bencher: Bencher<'_, '_>) {
        let mapping = mapping();
        let old = tables::old_state(&studio()).expect("every link leads to somebody");
        bencher
            .counter(ItemsCount::new(USERS))
            .with_inputs(|| RoleState::UpTo41(old.clone()))
            .bench_local_values(|old| remap(old, &mapping).expect("both roles are known"));
    }

    /// The tables of the same, before and after.
    #[divan::bench]
    fn rows(bencher: Bencher<'_, '_>) {
        let mapping = mapping();
        bencher.counter(ItemsCount::new(USERS)).with_inputs(studio).bench_local_values(|old| {
            let plan = plan_rows(&tables::roles(&old), &mapping);
            tables::changed(old, &plan)
        });
    }
}
