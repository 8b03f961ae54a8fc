//! A MariaDB database as a source: how it is reached, read, built anew and swapped.
//!
//! All SQL of the program is in this folder, each statement in a function named for its purpose.
//!
//! ```text
//! defaults → login → connection        how a server is reached; session, failure, server facts, sessions
//! wire                                 a connection that carries rows as they lie in packets, from near or far (login, far)
//! grants → rights                      what the account may do
//! grants → accounts                    who else may do what: saved and restored when asked
//! tables, views, programs → definition what a database is made of (heading, shown); schema is its blob
//! token → opening → guard              what of a blob may be run; definers, whose rights it runs with
//! versioning, remark                   tables that keep their history; options shown as remarks
//! hold → moment                        saving: one moment for several connections
//! partitions                           what nobody may exchange until it is read
//! range → rows → lines → chunking      key ranges, what arrives (field), TSV of it (tsv), chunks (cut, imprint)
//! reading → dump                       all tables on several connections; watch the server meanwhile
//! preflight                            whether a server has all that a definition names
//! given → target                       what stands in the way, and what hangs on the live names
//! links → live → judgement → compare   what is live already as it was saved, and stays
//! plan → staging → load → rehearsal    restoring: build beside (statement; bulk, infile, alone, redo), prove
//! roles                                who holds which roles, and how they become others in staging
//! undo, moves → ready → swap → resume         and take the place, or give it back
//! residue                              files that keep a database from being dropped
//! in_place                             or take it table by table, with no way back but a snapshot
//! bench                                what is measured of all this without a server
//! ```

mod defaults;
pub mod login;
pub mod quote;
mod wire;
pub mod connection;
mod session;
pub mod sessions;
mod failure;
mod infile;
mod alone;
mod bulk;
mod warning;
pub mod server;
mod grants;
pub mod rights;
pub mod accounts;
mod text;
mod key;
mod definition;
mod scan;
mod token;
mod opening;
mod remark;
pub mod statement;
mod versioning;
mod shown;
mod tables;
mod views;
mod relocate;
pub mod foreign_keys;
mod statistics;
mod members;
mod letters;
mod heading;
mod site;
mod events;
mod programs;
mod removal;
mod residue;
mod parameters;
mod guard;
mod rehearsal;
mod redo;
mod replay;
pub mod schema;
pub mod definers;
mod hold;
mod moment;
mod partitions;
pub mod range;
mod field;
mod tsv;
mod imprint;
mod cut;
mod rows;
mod lines;
mod chunking;
mod reading;
mod watch;
pub mod dump;
mod names;
mod note;
mod given;
pub mod target;
pub mod preflight;
pub mod plan;
pub mod staging;
pub mod load;
pub mod proof;
pub mod roles;
mod links;
mod live;
mod judgement;
pub mod compare;
mod moves;
mod undo;
pub mod ready;
pub mod swap;
pub mod resume;
pub mod in_place;
#[doc(hidden)]
pub mod bench;
#[cfg(test)]
mod throwaway;
