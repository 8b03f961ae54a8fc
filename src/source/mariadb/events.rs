//! Events: how they are kept from running, and what becomes of those whose time is over.

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::quote;
use crate::source::mariadb::scan;

/// The names of events whose time has come since they were saved.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PastEvents {
    /// The server does not keep them.
    pub(super) dropped: Vec<String>,
    /// The server keeps them, disabled.
    pub(super) disabled: Vec<String>,
}

impl PastEvents {
    /// Tells of events that are not as they were saved.
    pub(super) fn tell(&self, monitor: &dyn Monitor) {
        for event in &self.dropped {
            let why = "its time is over, and the server keeps no such event";
            monitor.warn(&format!("event {event:?} is left out: {why}"));
        }
        for event in &self.disabled {
            let why = "its time is over, and the server never runs it again";
            monitor.note(&format!("event {event:?} is disabled: {why}"));
        }
    }
}

/// Returns an event's statement with DISABLE for ENABLE, which stands before its DO.
pub(super) fn disabled(create: &[u8]) -> Vec<u8> {
    let text = scan::in_ascii(create);
    let bare: String = scan::unquoted(&text).map(|(_, byte)| char::from(byte)).collect();
    let positions: Vec<usize> = scan::unquoted(&text).map(|(position, _)| position).collect();
    let Some(found) = bare.find(" ENABLE ") else { return create.to_vec() };
    let start = positions[found + 1];
    [&create[..start], b"DISABLE", &create[start + b"ENABLE".len()..]].concat()
}

/// Returns whether an event ends, and then is kept no longer.
pub(super) fn has_end(event: &Program) -> bool {
    let text = scan::in_ascii(&event.create.0);
    let bare: String = scan::unquoted(&text).map(|(_, byte)| char::from(byte)).collect();
    let ends = bare.contains(" ON SCHEDULE AT ") || bare.contains(" ENDS ");
    ends && bare.contains(" ON COMPLETION NOT PRESERVE")
}

impl Connection {
    /// Drops an event, where there is one.
    pub(super) async fn drop_event(&mut self, database: &str, name: &str) -> Result<()> {
        let name = quote::qualified(database, name);
        let doing = format!("cannot drop event {name}");
        self.execute(&doing, &format!("DROP EVENT IF EXISTS {name}")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsed_event_is_disabled_before_its_body() {
        let create = "CREATE EVENT `a ENABLE b` ON SCHEDULE EVERY 1 DAY COMMENT 'x ENABLE y' \
                      ENABLE DO SET @a = ' ENABLE '";
        let expected = create.replacen("y' ENABLE DO", "y' DISABLE DO", 1);
        assert_eq!(disabled(create.as_bytes()), expected.as_bytes());
    }

    #[test]
    fn an_event_is_found_enabled_behind_letters_of_any_character_set() {
        let create = |state: &[u8]| {
            [b"CREATE EVENT `\xe7` ON SCHEDULE EVERY 1 DAY COMMENT '\xc3\xa7 \xa7' ", state]
                .concat()
        };
        assert_eq!(disabled(&create(b"ENABLE DO SET @a = 1")), create(b"DISABLE DO SET @a = 1"));
    }

    #[test]
    fn an_event_that_is_disabled_stays_so() {
        let create = b"CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DISABLE DO SET @a = 1";
        assert_eq!(disabled(create), create);
    }
}
