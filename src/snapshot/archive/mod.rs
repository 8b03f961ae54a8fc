//! One snapshot as one file: an OCI archive, the tar of an image layout.
//!
//! The bytes of an archive depend on the snapshot alone, so two downloads are equal wherever they
//! are made. What is uploaded is hostile until proven: nothing of it is listed before every byte
//! has been read and checked against what names it.

mod download;
mod incoming;
mod outgoing;
mod sources;
mod upload;

pub use download::Downloaded;
pub use download::download;
pub use upload::upload;

const LAYOUT_ENTRY: &str = "oci-layout";
const INDEX_ENTRY: &str = "index.json";
const BLOB_ENTRIES: &str = "blobs/sha256/";

#[cfg(test)]
mod tests;
