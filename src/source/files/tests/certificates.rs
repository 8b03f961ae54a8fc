//! Certificates that are looked at before they go live, made by openssl.

use jiff::SignedDuration;
use jiff::Timestamp;

use super::*;
use crate::source::files::CHUNK_BYTES;
use crate::source::files::Serving;

/// Runs openssl in a folder.
fn openssl(folder: &Path, arguments: &str) {
    let arguments = arguments.split_whitespace();
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Returns a folder of certificates: `NAME_cert.pem` and `NAME_key.pem` of every common kind.
fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("ssl")).unwrap();
    let top = folder.path().join("ssl");
    for (name, kind) in [
        ("rsa", "rsa:2048"),
        ("ec", "ec -pkeyopt ec_paramgen_curve:prime256v1"),
        ("edwards", "ed25519"),
    ] {
        let files = format!("-keyout {name}_key.pem -out {name}_cert.pem");
        let names = "subjectAltName=DNS:manager.example.com,IP:192.0.2.10";
        let request = format!("req -x509 -newkey {kind} -nodes -days 10 -subj /CN=x {files}");
        openssl(&top, &format!("{request} -addext {names}"));
    }
    // The oldest forms of keys, which openssl still writes when asked.
    openssl(&top, "rsa -traditional -in rsa_key.pem -out rsa_key.pem");
    openssl(&top, "ec -in ec_key.pem -out ec_key.pem");
    write(&top.join("certificate_metadata"), b"{}", 0o644);
    write(&top.join("nonsense_cert.pem"), b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END", 0o644);
    folder
}

/// Returns what is said of a tree that is restored where it serves `names`, so long from now.
async fn said(top: &Path, names: &[&str], days: i64) -> Said {
    let saved = save(top, CHUNK_BYTES).await;
    let target = top.with_file_name("target");
    let staged = stage(&target, saved.list.clone(), &saved.tar(), &Silent).await.unwrap();
    let made = top.join("rsa_cert.pem").metadata().unwrap().modified().unwrap();
    let now = Timestamp::try_from(made).unwrap() + SignedDuration::from_hours(24 * days);
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let recorder = Recorder::new(&Silent);
    let checked = staged.check_certificates(Serving { now, names }, &recorder).await.unwrap();
    drop(checked.prove().await.unwrap());
    recorder.said()
}

#[tokio::test]
async fn certificates_that_work_here_are_passed_in_silence() {
    let folder = certificates();
    for name in ["manager.example.com", "192.0.2.10"] {
        assert_eq!(said(&folder.path().join("ssl"), &["x", name], 1).await, Said::default());
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_is_a_warning_that_names_both() {
    let folder = certificates();
    let top = folder.path().join("ssl");
    openssl(&top, "ecparam -name prime256v1 -genkey -noout -out ec_key.pem");
    fs::copy(top.join("ec_key.pem"), top.join("rsa_key.pem")).unwrap();
    let said = said(&top, &["manager"], 1).await;
    let warning = |name: &str| {
        format!(
            "key {name}_key.pem does not belong to certificate {name}_cert.pem: \
             what uses them will not start"
        )
    };
    assert_eq!(said.warnings, [warning("ec"), warning("rsa")]);
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_a_warning() {
    let folder = certificates();
    let top = folder.path().join("ssl");
    for (days, words) in [(11, "_cert.pem expired at 20"), (-1, "_cert.pem is not valid before 20")]
    {
        let said = said(&top, &["manager"], days).await;
        assert_eq!(said.warnings.len(), 3, "{said:?}");
        assert!(said.warnings.iter().all(|text| text.contains(words)), "{said:?}");
    }
}

#[tokio::test]
async fn a_certificate_for_other_hosts_is_a_note() {
    let folder = certificates();
    let said = said(&folder.path().join("ssl"), &["other", "192.0.2.11"], 1).await;
    assert_eq!(said.warnings, Vec::<String>::new());
    let note = "certificate ec_cert.pem is for manager.example.com, 192.0.2.10, \
        and this host is other, 192.0.2.11";
    assert_eq!((said.notes.len(), said.notes[0].as_str()), (3, note));
}
