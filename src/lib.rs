//! `snap` saves and restores an appliance: the database of a studio, its certificates and its
//! configuration, as content-addressed snapshots that can be opened without `snap`.
//!
//! # Where everything lives
//!
//! A folder is a layer, and imports go down only; `tests/architecture.rs` holds this picture.
//!
//! ```text
//! cli                        the words of the user: one file per command
//!  ▼
//! snapshot                   the verbs: create, restore, rollback, upgrade, verify, prune …; executions
//!  │       │       \
//!  │    system       \       what runs on this host: units, health, packages, versions
//!  │       ▼          \
//!  │    profile        \     what makes up a service; the configuration file
//!  │       ▼            ▼
//!  │    source     repository    what can be saved │ where snapshots lie
//!  ▼       ▼            ▼
//! base                       errors, digests, memory, locks, programs, what a verb tells its watcher
//! ```
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | repository | a folder that holds snapshots: an OCI image layout |
//! | snapshot | one saved state of a service: one manifest, with an id |
//! | catalog | what a snapshot holds, source by source: the manifest's config blob |
//! | blob, digest | stored bytes, their SHA-256 |
//! | raw bytes, raw digest | what a blob decompresses to; its BLAKE3, or SHA-256 in snapshots of before |
//! | chunk | a contiguous primary-key range of one table, a piece of a file tree or of what a command printed: one blob |
//! | difference (`delta` in names), base | the blob of a chunk of which a few rows changed, and the full one that it is compressed against |
//! | room | memory for a chunk, that the next one takes |
//! | index | the chunk lists of one source, and its list of files: one blob |
//! | source | what can be saved: a database, a file tree, what a command prints |
//! | profile | what makes up a service: its sources, and what is known of it beside them |
//! | unit | a service of systemd |
//! | hook | a command of the profile that runs before or after a verb |
//! | execution | one run of a verb that changes something, with a journal on this host |
//! | role, remapping | who may do what in Cloudify; what becomes of that from 4.2 on |
//! | upgrade | a command between a snapshot and a check of health, with a way back |
//! | staging, swap | the hidden place a restore is built in, and the moment it goes live |
//! | previous state | what a restore replaced, kept until the next one |
//! | prune | reclaim the blobs that no snapshot names |
//! | verify | read and prove |
//!
//! # What always holds
//!
//! - A snapshot is listed by the last file that is written for it, when all that it names is
//!   durable: [`repository::writer`].
//! - All tables of a snapshot are of one moment, whatever is written meanwhile:
//!   [`source::mariadb::dump`].
//! - What comes back is what was saved, proven by digests of the rows before anything live is
//!   touched: [`source::mariadb::staging`], [`source::files`].
//! - A restore that fails leaves what is live as it was: [`snapshot::restore`].
//! - An upgrade that fails, or is killed, goes back, or says where it stands: [`snapshot::upgrade`].
//! - Bytes from a repository or an archive are hostile until their digests are verified, and SQL
//!   is built here or comes from a verified schema blob.
//! - The library neither prints nor reads clock, environment or terminal.

pub mod base;
pub mod repository;
pub mod source;
pub mod profile;
pub mod system;
pub mod snapshot;
pub mod cli;
