//! Which of flags, secrets, option files and defaults wins.

use std::fs;

use super::*;

/// Returns the login that these flags and this option file make.
fn login(flags: LoginFlags, options: &str) -> Result<Login> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.cnf");
    #[expect(clippy::disallowed_methods, reason = "a file of a test")]
    fs::write(&file, format!("[client]\n{options}")).unwrap();
    let surroundings = Surroundings { user: "operator".to_owned(), ..Surroundings::default() };
    Login::resolve(&LoginFlags { defaults_file: Some(file), ..flags }, &surroundings)
}

fn address(flags: LoginFlags, options: &str) -> String {
    login(flags, options).unwrap().server.to_string()
}

fn no_flags() -> LoginFlags {
    LoginFlags::default()
}

fn host(name: &str) -> LoginFlags {
    LoginFlags { host: Some(name.to_owned()), ..no_flags() }
}

fn socket(path: &str) -> LoginFlags {
    LoginFlags { socket: Some(path.into()), ..no_flags() }
}

fn port(port: u16) -> LoginFlags {
    LoginFlags { port: Some(port), ..no_flags() }
}

#[test]
fn localhost_means_the_socket_and_any_other_host_means_tcp() {
    assert_eq!(address(no_flags(), "socket=/s\n"), "socket /s");
    assert_eq!(address(no_flags(), "socket=/s\nhost=localhost\nport=1\n"), "socket /s");
    assert_eq!(address(no_flags(), "socket=/s\nhost=\n"), "socket /s");
    assert_eq!(address(no_flags(), "socket=/s\nhost=db1\n"), "db1:3306");
    assert_eq!(address(no_flags(), "host=::1\nport=33\n"), "[::1]:33");
    assert_eq!(address(no_flags(), "socket=/s\nprotocol=TCP\n"), "localhost:3306");
    assert_eq!(address(no_flags(), "socket=/s\nhost=db1\nprotocol=socket\n"), "socket /s");
}

#[test]
fn the_command_line_decides_before_the_option_files() {
    assert_eq!(address(socket("/f"), "socket=/s\nhost=db1\nprotocol=tcp\n"), "socket /f");
    assert_eq!(address(host("db2"), "socket=/s\nhost=db1\nport=33\n"), "db2:33");
    assert_eq!(address(host("db2"), "socket=/s\nprotocol=socket\n"), "db2:3306");
    assert_eq!(address(host("localhost"), "socket=/s\nhost=db1\n"), "socket /s");
    assert_eq!(address(port(44), "socket=/s\n"), "localhost:44");
    assert_eq!(address(port(44), "host=db1\nport=33\n"), "db1:44");
    let both = LoginFlags { host: Some("localhost".to_owned()), ..port(44) };
    assert_eq!(address(both, "socket=/s\n"), "localhost:44");
    let local = LoginFlags { host: Some("localhost".to_owned()), ..socket("/f") };
    assert_eq!(address(local, ""), "socket /f");
    let user = LoginFlags { user: Some("flag".to_owned()), ..no_flags() };
    assert_eq!(login(user, "user=file\n").unwrap().user, "flag");
    assert_eq!(login(no_flags(), "user=file\n").unwrap().user, "file");
    assert_eq!(login(no_flags(), "").unwrap().user, "operator");
}

#[test]
fn a_socket_and_a_port_at_once_are_refused() {
    let error = login(LoginFlags { port: Some(1), ..socket("/s") }, "").unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

#[test]
fn the_first_socket_that_exists_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let existing = folder.path().to_str().unwrap();
    assert_eq!(usual_socket(&["/nowhere/s", existing]), Path::new(existing));
    assert_eq!(usual_socket(&["/nowhere/s", "/nowhere/t"]), Path::new("/nowhere/s"));
}

#[test]
fn a_password_from_outside_comes_before_the_one_of_a_file() {
    let filed = login(no_flags(), "password='of file'\n").unwrap();
    assert_eq!(filed.password.unwrap().reveal(), "of file");
    let surroundings =
        Surroundings { password: Some(Secret::new("given")), ..Surroundings::default() };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.cnf");
    #[expect(clippy::disallowed_methods, reason = "a file of a test")]
    fs::write(&file, "[client]\npassword=filed\n").unwrap();
    let flags = LoginFlags { defaults_file: Some(file), ..no_flags() };
    let given = Login::resolve(&flags, &surroundings).unwrap();
    assert_eq!(given.password.unwrap().reveal(), "given");
}

#[test]
fn a_password_is_in_no_debug_text_and_in_no_error() {
    let filed = login(no_flags(), "password=swordfish\n").unwrap();
    assert!(!format!("{filed:#?}").contains("swordfish"));
    let error = login(no_flags(), "password=swordfish\nport=swordfish\n").unwrap_err();
    assert!(!format!("{error:?} {}", error.chain()).contains("swordfish"));
}

#[test]
fn any_setting_of_tls_switches_it_on_and_skip_ssl_off() {
    let tls = |options: &str| login(host("db"), options).unwrap().tls;
    assert_eq!(tls(""), None);
    assert_eq!(tls("ssl\n"), Some(Tls::default()));
    assert_eq!(tls("ssl=0\n"), None);
    assert_eq!(tls("ssl-ca=/ca\nskip-ssl\n"), None);
    assert_eq!(tls("ssl-ca=/ca\nssl=OFF\nenable_ssl\n").unwrap().authority, Some("/ca".into()));
    assert!(tls("loose-ssl_verify_server_cert\n").unwrap().verify);
    assert!(!tls("ssl-verify-server-cert\ndisable-ssl-verify-server-cert\n").unwrap().verify);
    assert!(!tls("ssl\nssl-verify-server-cert=0\n").unwrap().verify);
    assert_eq!(tls("disable-ssl-verify-server-cert\n"), None);
    let identity = tls("ssl-cert=/c\nssl-key=/k\n").unwrap();
    assert_eq!((identity.certificate, identity.key), (Some("/c".into()), Some("/k".into())));
    assert_eq!(login(socket("/s"), "ssl-ca=/ca\n").unwrap().tls, None, "a socket is not encrypted");
}

#[test]
fn a_value_that_means_nothing_names_its_file_and_line() {
    let cases = [
        ("x=1\nport=many\n", "line 3: `port` is not a port"),
        ("protocol=pipe\n", "line 2: `protocol` is neither tcp nor socket"),
        ("ssl=maybe\n", "line 2: `ssl` is neither on nor off"),
        ("password\n", "line 2: `password` without a value asks for a prompt"),
        ("user\n", "line 2: `user` needs a value"),
    ];
    for (options, problem) in cases {
        let error = login(no_flags(), options).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains(problem), "{error}");
    }
}
