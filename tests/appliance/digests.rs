//! Snapshots of before rows were digested by XXH3 are compared, restored and proven as they were made.

use sha2::Digest as _;
use sha2::Sha256;
use studio_snap::repository::catalog::Catalog;

use crate::place::Place;

/// A table with generated columns, and one without a key.
const TABLES: &str = "
    CREATE DATABASE centreon_studio; USE centreon_studio;
    CREATE TABLE keyed (id INT PRIMARY KEY, name VARCHAR(40), size TINYINT,
        twice INT AS (size * 2) STORED, shout VARCHAR(40) AS (UPPER(name)) VIRTUAL);
    INSERT INTO keyed (id, name, size) SELECT seq, MD5(seq), seq % 100 FROM seq_1_to_3000;
    CREATE TABLE loose (what VARCHAR(40));
    INSERT INTO loose SELECT MD5(seq % 700) FROM seq_1_to_2000";

const RESTORE: &[&str] = &["restore", "forged", "--force", "--no-safety-snapshot", "--json"];

impl Place {
    /// Returns a place with these tables and a snapshot of them.
    fn with_tables() -> Self {
        let place = Self::empty();
        place.server.sql(TABLES);
        place.snap(&["create", "before"]).succeeded();
        place
    }

    /// Lists the snapshot as `forged` with the digests that it had before XXH3, and with a change to
    /// them or to the rows of `keyed`.
    fn forge_old(&self, change: impl FnOnce(&mut Catalog, &mut Vec<u8>)) {
        let old = |columns: &str| {
            let lines = self.server.sql(&format!("SELECT {columns}"));
            let sum = lines.lines().map(hash).fold(0, u128::wrapping_add);
            format!("sum128-sha256:{sum:032x}")
        };
        self.forge_table("keyed", |catalog, _, rows| {
            let [keyed, loose] = &mut catalog.sources[0].items[..] else { panic!("two tables") };
            let generated = keyed.generated_digest.as_mut().expect("there are generated columns");
            for new in [&keyed.digest, &loose.digest, &*generated] {
                assert!(new.starts_with("sum128-xxh3:"), "{new}");
            }
            *generated = old("twice, shout FROM centreon_studio.keyed");
            keyed.digest = old("id, name, size FROM centreon_studio.keyed");
            loose.digest = old("what FROM centreon_studio.loose");
            change(catalog, rows);
        });
    }

    /// Checks that the tables of `forged` meet these fates, and that then all is as it was saved.
    #[track_caller]
    fn assert_restored(&self, fates: [&str; 2], saved: &str) {
        assert_eq!(self.snap(RESTORE).fates(), fates);
        assert!(self.server.dump("centreon_studio") == saved, "it came out otherwise");
    }
}

/// Returns the first 128 bits of SHA-256.
fn hash(line: &str) -> u128 {
    let hash = Sha256::digest(line);
    u128::from_be_bytes(hash[..16].try_into().expect("16 bytes are 128 bits"))
}

#[test]
fn a_snapshot_with_digests_of_sha256_is_compared_by_them_and_restored_exactly() {
    let place = Place::with_tables();
    place.forge_old(|_, _| {});
    let saved = place.server.dump("centreon_studio");
    place.assert_restored(["keyed identical", "loose identical"], &saved);
    place.server.sql("UPDATE centreon_studio.keyed SET size = size + 1 WHERE id = 2900");
    place.assert_restored(["keyed replace", "loose identical"], &saved);
    place.server.sql("UPDATE centreon_studio.loose SET what = '' LIMIT 1");
    place.assert_restored(["keyed identical", "loose replace"], &saved);
    place.snap(&["restore", "forged", "--database", "copy"]).succeeded();
    assert!(place.server.dump("copy") == saved, "the copy is another");
}

#[test]
fn a_value_that_is_not_that_of_a_digest_of_sha256_fails_the_restore() {
    let place = Place::with_tables();
    place.forge_old(|_, rows| rows[b"1\t".len()] = b'x');
    let restore = ["restore", "forged", "--force", "--full"];
    let words = ["table \"keyed\" came out otherwise: the digest of its rows differs"];
    place.assert_fails_harmlessly(&restore, 22, &words);

    place.snap(&["delete", "forged"]).succeeded();
    place.forge_old(|catalog, _| {
        let items = &mut catalog.sources[0].items;
        items[0].generated_digest = Some(items[0].digest.clone());
    });
    let words = ["table \"keyed\" came out otherwise: the digest of its generated columns differs"];
    place.assert_fails_harmlessly(&restore, 22, &words);
}

#[test]
fn digests_of_a_later_version_refuse_a_restore_before_anything_is_done() {
    let place = Place::with_tables();
    place.forge_old(|catalog, _| {
        let digest = &mut catalog.sources[0].items[1].digest;
        *digest = digest.replace("sha256", "later");
    });
    let words = [
        "cannot prove table \"loose\": the digest of its rows is of the kind \"sum128-later\"",
        "hint: use the version of snap that wrote it, or a newer one",
    ];
    for more in [&[][..], &["--dry-run"], &["--full"]] {
        let restore = ["restore", "forged", "--force"];
        place.assert_fails_harmlessly(&[&restore[..], more].concat(), 14, &words);
    }
    let refused = place.snap(&["restore", "forged", "--force"]);
    assert!(!refused.stderr.contains("is saved as"), "a safety snapshot was taken for nothing");
}
