//! A MariaDB database as a source: how it is reached, read, built anew and swapped.
//!
//! All SQL of the program is in this folder, each statement in a function named for its purpose.
//!
//! ```text
//! defaults → login → connection        how a server is reached; session, failure, server facts, sessions
//! grants → rights                      what the account may do
//! grants → accounts                    who else may do what: saved and restored when asked
//! tables, views, programs → definition what a database is made of (heading); schema is its blob
//! versioning                           tables that keep their history
//! hold → moment                        saving: one moment for several connections
//! range → rows → reading → dump        key ranges, lines of TSV (tsv), chunks (cut)
//! preflight                            whether a server has all that a definition names
//! plan → staging → load → rehearsal    restoring: build beside (statement), prove
//! undo, moves → ready → swap → resume         and take the place, or give it back
//! ```

mod defaults;
pub mod login;
pub mod quote;
pub mod connection;
mod session;
pub mod sessions;
mod failure;
mod warning;
pub mod server;
mod grants;
pub mod rights;
pub mod accounts;
mod text;
mod key;
mod definition;
mod statement;
mod versioning;
mod tables;
mod views;
mod relocate;
mod foreign_keys;
mod heading;
mod site;
mod programs;
mod parameters;
mod guard;
mod rehearsal;
mod replay;
mod schema;
mod hold;
mod moment;
pub mod range;
mod tsv;
mod cut;
mod rows;
mod reading;
pub mod dump;
mod names;
pub mod target;
pub mod preflight;
pub mod plan;
pub mod staging;
pub mod load;
mod moves;
mod undo;
pub mod ready;
pub mod swap;
pub mod resume;
#[cfg(test)]
mod throwaway;
