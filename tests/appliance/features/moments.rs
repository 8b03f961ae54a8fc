//! What is saved while others write.

use crate::features::case::Case;
use crate::features::case::note;
use crate::features::tool::Tool;

/// Tells that somebody has written.
pub(super) const WRITTEN: &str = "SELECT * FROM studio.a_first";
/// Tells them to stop.
pub(super) const STOP: &str = "INSERT INTO work.stop VALUES (1)";

const TIDIES: &str = "DROP DATABASE IF EXISTS work";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "one moment across InnoDB tables while written to",
        script: "CREATE DATABASE work; CREATE TABLE work.stop (id INT);
            CREATE TABLE a_first (balance INT NOT NULL); INSERT INTO a_first VALUES (1000);
            CREATE TABLE m_bulk (id INT PRIMARY KEY, t TEXT); INSERT INTO m_bulk SELECT seq, REPEAT(MD5(seq), 5) FROM seq_1_to_40000;
            CREATE TABLE z_last (balance INT NOT NULL); INSERT INTO z_last VALUES (1000);
            DELIMITER $$
            CREATE PROCEDURE work.go_on() WHILE NOT EXISTS (SELECT 1 FROM work.stop) DO
                START TRANSACTION; UPDATE studio.a_first SET balance = balance - 1; UPDATE studio.z_last SET balance = balance + 1; COMMIT;
            END WHILE $$
            DELIMITER ;",
        asks: "SELECT a_first.balance + z_last.balance FROM studio.a_first, studio.z_last; SELECT COUNT(*), SUM(CRC32(t)) FROM studio.m_bulk",
        tidies: TIDIES,
        meanwhile: "CALL work.go_on()",
        is_asked_alone: true,
        ..Case::PLAIN
    },
    Case {
        name: "one moment across MyISAM and InnoDB tables while written to",
        script: "CREATE DATABASE work; CREATE TABLE work.stop (id INT);
            CREATE TABLE a_first (number INT NOT NULL); INSERT INTO a_first VALUES (0);
            CREATE TABLE m_bulk (id INT PRIMARY KEY, t TEXT); INSERT INTO m_bulk SELECT seq, REPEAT(MD5(seq), 5) FROM seq_1_to_40000;
            CREATE TABLE z_last (number INT NOT NULL) ENGINE = MyISAM; INSERT INTO z_last VALUES (0);
            DELIMITER $$
            CREATE PROCEDURE work.go_on() WHILE NOT EXISTS (SELECT 1 FROM work.stop) DO
                UPDATE studio.a_first SET number = number + 1; UPDATE studio.z_last SET number = number + 1;
            END WHILE $$
            DELIMITER ;",
        asks: "SELECT IF(z_last.number BETWEEN a_first.number - 1 AND a_first.number, 'one moment', 'two moments') FROM studio.a_first, studio.z_last",
        tidies: TIDIES,
        meanwhile: "CALL work.go_on()",
        notes: &[note(
            Tool::Dump,
            "`--single-transaction` is of one moment for InnoDB alone.",
            "+ two moments",
        )],
        is_asked_alone: true,
    },
];
