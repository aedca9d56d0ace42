use crate::{beds, ends_with_its_server};
use mainstay_model::console::{ConsoleSaid, SHOWN_VALUE};

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_answered_with_types_and_rows() {
    for bed in beds("postgres").await {
        let node = bed.primary("my-shop").await;
        let mut talk = bed.open(&node).await;
        let opened = talk.0.opened();
        assert_eq!((opened.user.as_str(), opened.database.as_deref(), opened.writable), ("my_shop", Some("my_shop"), true));
        assert!(opened.version.starts_with(node.plan.version.split('.').next().unwrap()), "{opened:?}");
        assert_eq!(talk.0.prompt().text, "my_shop=> ");
        assert_eq!(
            talk.run("CREATE TABLE t (id int PRIMARY KEY, name text, tags text[]);").await.done().tag.as_deref(),
            Some("CREATE TABLE")
        );
        assert_eq!(talk.run("INSERT INTO t VALUES (1, 'ä', '{x}'), (2, NULL, NULL);").await.done().tag.as_deref(), Some("INSERT 0 2"));
        let answer = talk.run("SELECT * FROM t ORDER BY id;").await;
        let ConsoleSaid::Columns { columns } = &answer.said[0] else { panic!("{answer:?}") };
        let types: Vec<_> = columns.iter().map(|c| (c.name.as_str(), c.r#type.as_deref().unwrap(), c.numeric)).collect();
        assert_eq!(types, [("id", "int4", true), ("name", "text", false), ("tags", "text[]", false)]);
        let text = |s: &str| Some(s.to_string());
        assert_eq!(answer.rows(), [[text("1"), text("ä"), text("{x}")], [text("2"), None, None]]);
        assert_eq!((answer.done().rows, answer.done().tag.as_deref()), (Some(2), Some("SELECT 2")));
        let error = talk.run("SELECT *\n  FORM t;").await.error().clone();
        let place = error.place.unwrap();
        assert_eq!((error.code.as_deref(), place.line, place.column, place.text.as_str()), (Some("42601"), 2, 3, "  FORM t;"), "{place:?}");
        let hinted = talk.run("SELECT nam FROM t;").await.error().clone();
        assert!(hinted.hint.is_some_and(|h| h.contains("name")), "a hint of the server's");
        let answer = talk.run("DO $$ BEGIN RAISE NOTICE 'hello'; END $$;").await;
        assert_eq!(answer.said[0], ConsoleSaid::notice("NOTICE: hello"));
        let copied = talk.run("COPY t (id) TO STDOUT;").await;
        assert_eq!(copied.said[..2], ["1", "2"].map(|t| ConsoleSaid::Text { text: t.into() }));
        assert_eq!(talk.run("-- nothing\n;").await.done().tag, None);
        assert!(talk.run("\\d").await.error().message.contains("psql"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_spans_statements_and_ends_with_the_terminal() {
    for bed in beds("postgres").await {
        let node = bed.primary("shop").await;
        let (mut one, mut two) = (bed.open(&node).await, bed.open(&node).await);
        one.run("CREATE TABLE t (a int);").await.done();
        one.run("BEGIN;").await.done();
        assert!(one.0.prompt().in_transaction && one.0.prompt().text == "shop=*> ");
        one.run("INSERT INTO t VALUES (1);").await.done();
        one.run("SELECT 1/0;").await.error();
        assert_eq!(one.0.prompt().text, "shop=!> ");
        assert_eq!(one.run("SELECT 1;").await.error().code.as_deref(), Some("25P02"));
        one.run("ROLLBACK;").await.done();
        one.run("BEGIN;").await.done();
        one.run("LOCK TABLE t;").await.done();
        one.run("INSERT INTO t VALUES (2);").await.done();
        drop(one);
        // It waits for the lock of a session that is gone, and not for long.
        assert_eq!(two.run("SELECT count(*) FROM t;").await.one(), "0");
        two.run("LISTEN news;").await.done();
        bed.open(&node).await.run("NOTIFY news, 'x';").await.done();
        assert_eq!(two.0.idle().await.unwrap(), ConsoleSaid::notice("notification on \"news\": x"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_the_statement_in_the_server() {
    for bed in beds("postgres").await {
        let node = bed.primary("shop").await;
        let mut talk = bed.open(&node).await;
        let ended = talk.interrupted("SELECT pg_sleep(3600);").await;
        assert_eq!(ended.error().code.as_deref(), Some("57014"));
        let running =
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(3600)%' AND pid <> pg_backend_pid();";
        assert_eq!(talk.run(running).await.one(), "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_any_number_and_size_are_passed_on_or_over() {
    for bed in beds("postgres").await.into_iter().take(1) {
        let node = bed.primary("shop").await;
        let mut talk = bed.open(&node).await;
        let many = talk.run("SELECT g, repeat('x', 10) FROM generate_series(1, 50000) g;").await;
        assert_eq!((many.rows().len(), many.done().rows), (50_000, Some(50_000)));
        let parts = many.said.iter().filter(|s| matches!(s, ConsoleSaid::Rows { .. })).count();
        assert!(parts >= 500, "they come in parts: {parts}");
        let large = talk.run("SELECT repeat('y', 100000000);").await;
        assert!(large.rows().is_empty() && large.done().cut.as_deref().is_some_and(|c| c.contains("95 MiB")), "{:?}", large.done());
        let long = talk.run("SELECT repeat('z', 100000);").await.one();
        assert!(long.len() < SHOWN_VALUE + 50 && long.ends_with("(100000 bytes in all)"), "{}", &long[long.len() - 40..]);
        assert_eq!(talk.run("SELECT 1;").await.one(), "1", "the next answer is the next one's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_answers_what_the_server_says() {
    for bed in beds("postgres").await.into_iter().take(1) {
        let node = bed.primary("shop").await;
        let replica = bed.replica(&node).await;
        let mut talk = bed.open(&replica).await;
        assert!(!talk.0.opened().writable);
        assert_eq!(talk.run("SELECT 1;").await.one(), "1");
        assert_eq!(talk.run("CREATE TABLE t (a int);").await.error().code.as_deref(), Some("25006"));
    }
}

/// The user of a cluster reaches its data, and neither the host nor what is Mainstay's. Everything that
/// the guard would refuse is asked in a way that it does not see, so that the server itself has to.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_leads_to_the_host_or_to_mainstay() {
    for bed in beds("postgres").await {
        let node = bed.primary("shop").await;
        let mut talk = bed.open(&node).await;
        talk.run("CREATE TABLE t (line text);").await.done();
        let hidden = |sql: &str| format!("DO $run$ BEGIN EXECUTE $sql${sql}$sql$; END $run$;");
        for sql in [
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT pg_read_binary_file('/etc/passwd')",
            "SELECT pg_ls_dir('/')",
            "SELECT pg_stat_file('/etc/passwd')",
            "SELECT lo_import('/etc/passwd')",
            "SELECT lo_export(lo_create(0), '/tmp/mainstay-console-test')",
            "SELECT pg_reload_conf()",
            "SELECT pg_switch_wal()",
            "SELECT * FROM pg_authid",
            "SELECT * FROM pg_shadow",
            "SELECT * FROM pg_hba_file_rules",
            "SELECT pg_create_physical_replication_slot('x')",
            "CREATE EXTENSION dblink",
            "CREATE EXTENSION postgres_fdw",
            "CREATE EXTENSION adminpack",
            "CREATE EXTENSION plpython3u",
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/tmp/x', 'f'",
            "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false)",
            "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()",
            "SET SESSION AUTHORIZATION mainstay",
            "SET ROLE mainstay",
            "ALTER ROLE mainstay PASSWORD 'x'",
            "ALTER ROLE mainstay_replication PASSWORD 'x'",
            "ALTER ROLE shop SUPERUSER",
            "ALTER ROLE shop REPLICATION",
            "CREATE ROLE other SUPERUSER",
            "DROP ROLE mainstay",
            "GRANT mainstay TO shop",
            "GRANT pg_read_server_files TO shop",
            "GRANT pg_write_server_files TO shop",
            "GRANT pg_execute_server_program TO shop",
            "ALTER DATABASE postgres OWNER TO shop",
        ] {
            let said = talk.run(&hidden(sql)).await;
            let code = said.error().code.clone().unwrap_or_default();
            // Refused for lack of a right, or because the thing is not there at all.
            assert!(["42501", "0A000", "42704", "42883", "22023", "58P01"].contains(&code.as_str()), "{sql}: {:?}", said.error());
        }
        for sql in [
            "COPY t FROM '/etc/passwd'",
            "COPY t FROM PROGRAM 'id'",
            "COPY (SELECT 1) TO PROGRAM 'id'",
            "COPY (SELECT 1) TO '/tmp/mainstay-console-test'",
            "ALTER SYSTEM SET archive_command = 'id'",
        ] {
            let said = talk.run(&hidden(sql)).await;
            let code = said.error().code.clone().unwrap_or_default();
            assert!(["42501", "25001"].contains(&code.as_str()), "{sql}: {:?}", said.error());
            assert_eq!(talk.run(&format!("{sql};")).await.error().code.as_deref(), Some("refused"), "{sql}");
        }
        let refused = talk.run("ALTER ROLE shop PASSWORD 'x';").await.error().message.clone();
        assert!(refused.contains("mainstay cluster rotate shop"), "{refused}");
        assert_eq!(talk.run("COPY t FROM STDIN;").await.error().code.as_deref(), Some("refused"));
        assert_eq!(talk.run("SELECT count(*) FROM t;").await.one(), "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_its_server() {
    for bed in beds("postgres").await.into_iter().take(1) {
        let node = bed.primary("shop").await;
        let talk = bed.open(&node).await;
        ends_with_its_server(&bed, &node, talk).await;
    }
}
