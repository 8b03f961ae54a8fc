//! What comes back otherwise by itself, without a word of the server: refused by name, or brought back.

use crate::place::Place;

/// What a table `bad` is made of, and what is said of it.
const UNTOLD: &[(&str, &str)] = &[
    ("a VARCHAR(9) DEFAULT '😀?'", "the default \"😀?\" of column \"a\" with ?"),
    ("`ä``b` CHAR(9) CHARACTER SET utf16 DEFAULT 'x😀'", "the default \"x😀\" of column \"ä`b\""),
    ("id INT, e ENUM('x', '?', '😀')", "member \"😀\" of column \"e\" with ?"),
    ("s SET('x', 'y', 'y😀') CHARACTER SET utf32", "member \"y😀\" of column \"s\" with ?"),
    ("s SET('', 'a', 'b')", "an empty member of SET \"s\""),
];

/// Creates refuse what is not told, and what only looks like it comes back.
pub(crate) fn refuse_what_is_untold(place: &Place) {
    place.save_only("studio");
    for (columns, said) in UNTOLD {
        place.server.sql(&format!(
            "CREATE OR REPLACE DATABASE studio CHARACTER SET utf8mb4;
             CREATE TABLE studio.bad ({columns})"
        ));
        place.snap(&["create", "bad"]).failed(1, &["cannot save table \"bad\"", said]);
    }
    place.server.sql(
        "CREATE OR REPLACE DATABASE studio CHARACTER SET utf8mb4; USE studio;
         CREATE TABLE good (id INT PRIMARY KEY, e ENUM('?', 'a''?', '東') DEFAULT '?', s SET('?', 'x') CHARACTER SET utf16,
             a VARCHAR(9) DEFAULT 'is it?', b TEXT DEFAULT '😀?', c VARCHAR(9) DEFAULT (CONCAT('😀', '?')),
             d VARCHAR(9) CHARACTER SET latin1 DEFAULT '?é', CHECK (a <> '😀?'));
         INSERT INTO good (id, e, s) VALUES (1, '?', '?,x'), (2, 'a''?', 'x'), (3, '東', '')",
    );
    place.assert_comes_back("studio", &[]);
}

#[test]
fn what_the_server_does_not_tell_of_a_column_is_refused_by_name() {
    refuse_what_is_untold(&Place::empty());
}
