//! Archives whose digests are sound and whose documents lie.

use serde_json::json;

use super::*;

/// The documents of an archive and its blobs, for lies that are consistent down to the digests.
struct Forgery {
    /// The content of `index.json`; the place of the manifest is filled in.
    index_json: Value,
    manifest: Value,
    catalog: Value,
    /// The index of the database.
    index: Value,
    blobs: Vec<Vec<u8>>,
}

impl Forgery {
    async fn new(scene: &Scene) -> Self {
        let members = scene.members();
        let json = |position: usize| serde_json::from_slice(&members[position].2).unwrap();
        let (index_json, manifest, catalog): (Value, Value, Value) = (json(1), json(2), json(3));
        let contents = scene.source.contents(&id("one")).await.unwrap();
        let index = serde_json::to_value(&contents.indexes[0]).unwrap();
        // The first layer is the index, which is made anew.
        let blobs = members[5..].iter().map(|(_, _, content)| content.clone()).collect();
        Self { index_json, manifest, catalog, index, blobs }
    }

    fn archive(mut self) -> Vec<u8> {
        let raw = self.index.to_string().into_bytes();
        let packed = zstd::bulk::compress(&raw, 1).unwrap();
        let named = |content: &[u8]| (digest::sha256(content), content.len());
        let (digest, size) = named(&packed);
        let named_index = &mut self.catalog["sources"][0]["index"];
        (named_index["digest"], named_index["size"]) = (json!(digest), json!(size));
        if named_index["raw_bytes"].as_u64() != Some(u64::MAX) {
            (named_index["raw_digest"], named_index["raw_bytes"]) =
                (json!(named(&raw).0), json!(raw.len()));
        }
        let layer = &mut self.manifest["layers"][0];
        (layer["digest"], layer["size"]) = (json!(digest), json!(size));
        let catalog = self.catalog.to_string().into_bytes();
        let config = &mut self.manifest["config"];
        (config["digest"], config["size"]) = (json!(named(&catalog).0), json!(catalog.len()));
        let manifest = self.manifest.to_string().into_bytes();
        if let Some(listed) = self.index_json["manifests"].get_mut(0) {
            let (digest, size) = named(&manifest);
            (listed["digest"], listed["size"]) = (json!(digest), json!(size));
        }
        let index_json = self.index_json.to_string();
        let mut members = vec![
            file("oci-layout", crate::repository::OCI_LAYOUT.as_bytes()),
            file("index.json", index_json.as_bytes()),
        ];
        let blobs = [manifest, catalog, packed].into_iter().chain(self.blobs);
        members.extend(blobs.map(|content| blob(&content)));
        tarred(&members)
    }

    fn chunk(&mut self) -> &mut Value {
        &mut self.index["items"][0]["chunks"][0]
    }

    fn claim_base(&mut self, base: &Value) {
        self.chunk()["base"] = base.clone();
    }

    /// Puts another blob in the place of the chunk of `image`, in manifest and index.
    fn replace_image(&mut self, stored: &[u8], raw_digest: &str, raw_bytes: u64) {
        let chunk = &mut self.index["items"][1]["chunks"][0];
        let old = chunk["digest"].as_str().unwrap().to_owned();
        let digest = digest::sha256(stored);
        (chunk["digest"], chunk["size"]) = (json!(digest), json!(stored.len()));
        (chunk["raw_digest"], chunk["raw_bytes"]) = (json!(raw_digest), json!(raw_bytes));
        self.catalog["sources"][0]["items"][1]["raw_bytes"] = json!(raw_bytes);
        let layers = self.manifest["layers"].as_array_mut().unwrap();
        let layer = layers.iter_mut().find(|layer| layer["digest"] == old.as_str()).unwrap();
        (layer["digest"], layer["size"]) = (json!(digest), json!(stored.len()));
        let blob = self.blobs.iter_mut().find(|blob| digest::sha256(blob) == old).unwrap();
        *blob = stored.to_vec();
    }
}

/// Returns what a base may say of itself.
fn large_base() -> Value {
    let digest = digest::sha256(b"base");
    json!({"digest": digest, "size": 1_000_000, "raw_digest": digest, "raw_bytes": 1_000_000})
}

/// A lie, and what the refusal says.
type Lie = (&'static str, fn(&mut Forgery), Kind, &'static str);

const LIES: &[Lie] = &[
    (
        "a bomb",
        |forgery| {
            let bomb = zstd::bulk::compress(&vec![0; 512 << 20], 1).unwrap();
            // As large as its frame may be for these raw bytes.
            forgery.replace_image(&bomb, &digest::sha256(b"x"), 100_000);
        },
        Kind::Damaged,
        "holds more than 100000 raw bytes",
    ),
    (
        "a raw digest that is another one",
        |forgery| {
            let stored = zstd::bulk::compress(b"1\ta\n", 1).unwrap();
            forgery.replace_image(&stored, &digest::sha256(b"x"), 4);
        },
        Kind::Damaged,
        "holds other raw bytes than the catalog says",
    ),
    (
        "no zstd frame",
        |forgery| forgery.replace_image(b"1\ta\n", &digest::sha256(b"1\ta\n"), 4),
        Kind::Damaged,
        "does not decompress",
    ),
    (
        "a blob that is mostly padding",
        |forgery| {
            let mut stored = zstd::bulk::compress(b"1\ta\n", 1).unwrap();
            // A skippable frame: its number, its length, and bytes that no reader sees.
            stored.extend([0x50, 0x2a, 0x4d, 0x18, 0, 0, 1, 0]);
            stored.extend(vec![0; 1 << 16]);
            forgery.replace_image(&stored, &digest::sha256(b"1\ta\n"), 4);
        },
        Kind::Damaged,
        "bytes for 4 raw bytes",
    ),
    (
        "a count of rows",
        |forgery| {
            forgery.index["items"][0]["chunks"][0]["rows"] = json!(7);
            forgery.catalog["sources"][0]["items"][0]["rows"] = json!(8);
        },
        Kind::Damaged,
        "has 2 rows instead of 7",
    ),
    (
        "rows of which the chunks know nothing",
        |forgery| forgery.catalog["sources"][0]["items"][0]["rows"] = json!(8),
        Kind::Damaged,
        "database.element: the catalog and its index disagree",
    ),
    (
        "rows that overflow",
        |forgery| {
            forgery.index["items"][0]["chunks"][0]["rows"] = json!(u64::MAX);
            forgery.catalog["sources"][0]["items"][0]["rows"] = json!(0);
        },
        Kind::Damaged,
        "disagree",
    ),
    (
        "a layer that nothing names",
        |forgery| {
            let digest = digest::sha256(b"extra");
            let layer = json!({"mediaType": "text/plain", "digest": digest, "size": 5});
            forgery.manifest["layers"].as_array_mut().unwrap().push(layer);
            forgery.blobs.push(b"extra".to_vec());
        },
        Kind::Damaged,
        "other layers than the catalog names",
    ),
    (
        "a chunk that is no layer",
        |forgery| {
            forgery.manifest["layers"].as_array_mut().unwrap().pop();
            forgery.blobs.pop();
        },
        Kind::Damaged,
        "other layers than the catalog names",
    ),
    (
        "a layer of another type",
        |forgery| forgery.manifest["layers"][2]["mediaType"] = json!("text/plain"),
        Kind::Damaged,
        "database.element names another one",
    ),
    (
        "a layer twice",
        |forgery| {
            let layers = forgery.manifest["layers"].as_array_mut().unwrap();
            layers.push(layers[1].clone());
        },
        Kind::Damaged,
        "the manifest names sha256:",
    ),
    (
        "the size of a layer",
        |forgery| forgery.manifest["layers"][1]["size"] = json!(u64::MAX),
        Kind::Damaged,
        "bytes instead of 18446744073709551615",
    ),
    (
        "the raw size of a chunk",
        |forgery| {
            forgery.index["items"][0]["chunks"][0]["raw_bytes"] = json!(1_u64 << 40);
            forgery.catalog["sources"][0]["items"][0]["raw_bytes"] = json!((1_u64 << 40) + 4);
        },
        Kind::Damaged,
        "raw bytes, 2214592512 at most",
    ),
    (
        "the raw size of the index",
        |forgery| forgery.catalog["sources"][0]["index"]["raw_bytes"] = json!(u64::MAX),
        Kind::Damaged,
        "of database.index has 18446744073709551615 raw bytes",
    ),
    (
        "a difference whose base is one too",
        |forgery| {
            let mut base = large_base();
            base["base"] = base.clone();
            forgery.claim_base(&base);
        },
        Kind::Damaged,
        "its base is a difference too",
    ),
    (
        "a base that is too large",
        |forgery| {
            let mut base = large_base();
            base["raw_bytes"] = json!(1_u64 << 30);
            forgery.claim_base(&base);
        },
        Kind::Damaged,
        "1073741824 raw bytes are more than 67108864",
    ),
    (
        "a difference that is larger than it may be",
        |forgery| {
            let mut base = large_base();
            base["size"] = forgery.chunk()["size"].clone();
            forgery.claim_base(&base);
        },
        Kind::Damaged,
        "no sound difference: it has ",
    ),
    (
        "a base that is no layer",
        |forgery| {
            let base = large_base();
            forgery.claim_base(&base);
        },
        Kind::Damaged,
        "where database.element names another one",
    ),
    (
        "definitions that are a difference",
        |forgery| {
            let base = large_base();
            forgery.catalog["sources"][0]["schema"]["base"] = base;
        },
        Kind::Damaged,
        "is a difference, which only rows may be",
    ),
    (
        "an index that is a difference",
        |forgery| {
            let base = large_base();
            forgery.catalog["sources"][0]["index"]["base"] = base;
        },
        Kind::Damaged,
        "is a difference, which only rows may be",
    ),
    (
        "a source without index",
        |forgery| {
            forgery.catalog["sources"][2]["state"] = json!("saved");
        },
        Kind::Damaged,
        "the catalog of users names no index",
    ),
    (
        "a digest that is a path",
        |forgery| forgery.manifest["layers"][1]["digest"] = json!("sha256:../../../etc/passwd"),
        Kind::Damaged,
        "the manifest is not readable",
    ),
    (
        "a catalog that is too large",
        |forgery| forgery.catalog["note"] = json!("n".repeat(5 << 20)),
        Kind::Damaged,
        "4194304 at most",
    ),
    (
        "an id that is a path",
        |forgery| forgery.catalog["id"] = json!("../../evil"),
        Kind::Damaged,
        "the catalog has no sound id",
    ),
    (
        "a catalog of a newer format",
        |forgery| forgery.catalog["format"] = json!(2),
        Kind::Refused,
        "the catalog has format 2",
    ),
    (
        "a source of an unknown kind",
        |forgery| forgery.catalog["sources"][0]["kind"] = json!("postgres"),
        Kind::Refused,
        "source database is of kind \"postgres\"",
    ),
    (
        "a newer snapshot",
        |forgery| forgery.manifest["artifactType"] = json!("application/vnd.snap.snapshot.v2"),
        Kind::Refused,
        "snapshot.v2",
    ),
    (
        "an image",
        |forgery| forgery.manifest["artifactType"] = Value::Null,
        Kind::Damaged,
        "not that of a snapshot",
    ),
    (
        "two manifests",
        |forgery| {
            let manifests = forgery.index_json["manifests"].as_array_mut().unwrap();
            manifests.push(manifests[0].clone());
        },
        Kind::Damaged,
        "holds 2 manifests",
    ),
    (
        "no manifest",
        |forgery| forgery.index_json["manifests"] = json!([]),
        Kind::Damaged,
        "holds 0 manifests",
    ),
];

#[tokio::test]
async fn an_archive_that_lies_is_refused_down_to_sound_digests() {
    let scene = Scene::new().await;
    for (case, lie, kind, why) in LIES {
        let mut forgery = Forgery::new(&scene).await;
        lie(&mut forgery);
        scene.assert_refused(case, &forgery.archive(), *kind, why).await;
    }
    let extra = scene.target.find_blob(&digest::sha256(b"extra"), 5).await;
    extra.expect_err("no layer is stored before the documents agree");
    let honest = Forgery::new(&scene).await.archive();
    scene.upload(&honest).await.unwrap();
}
