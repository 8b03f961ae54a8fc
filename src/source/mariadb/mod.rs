//! A MariaDB database as a source: how it is reached, read, built anew and swapped.
//!
//! All SQL of the program is in this folder, each statement in a function named for its purpose.
//!
//! ```text
//! defaults → login → connection        how a server is reached; session, failure, server facts
//! grants → rights                      what the account may do
//! grants → accounts                    who else may do what: saved and restored when asked
//! tables, views, programs → definition what a database is made of; schema is its blob
//! moment → range → rows → dump         saving: one moment, key ranges, lines of TSV (tsv), chunks (cut)
//! staging → load → swap                restoring: build beside (statement), prove, take the place
//! ```

mod defaults;
pub mod login;
pub mod quote;
pub mod connection;
mod session;
mod failure;
pub mod server;
mod grants;
pub mod rights;
pub mod accounts;
mod text;
mod key;
mod definition;
mod statement;
mod tables;
mod views;
mod relocate;
mod foreign_keys;
mod site;
mod programs;
mod guard;
mod schema;
mod moment;
pub mod range;
mod tsv;
mod cut;
mod rows;
pub mod dump;
mod names;
pub mod target;
pub mod staging;
pub mod load;
mod moves;
mod undo;
pub mod swap;
#[cfg(test)]
mod throwaway;
