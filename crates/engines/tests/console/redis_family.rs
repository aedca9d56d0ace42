use crate::{Bed, beds, ends_with_its_server};
use mainstay_model::console::{ConsoleSaid, ConsoleValue::*, SHOWN_ROWS, SHOWN_VALUE};

async fn both() -> Vec<Bed> {
    let mut all = Vec::new();
    for name in ["redis", "valkey"] {
        all.extend(beds(name).await.into_iter().take(1));
    }
    assert!(!all.is_empty(), "neither Redis nor Valkey is on this machine");
    all
}

fn text(s: &str) -> mainstay_model::console::ConsoleValue {
    Text(s.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_answered_as_what_they_are() {
    for bed in both().await {
        let node = bed.primary("shop").await;
        let mut talk = bed.open(&node).await;
        let opened = talk.0.opened();
        assert_eq!((opened.user.as_str(), opened.database.as_deref(), opened.writable), ("default", None, true));
        assert_eq!(opened.version, node.plan.version);
        assert_eq!(talk.0.prompt().text, "shop-1> ");
        assert_eq!(talk.run("SET a 'b c'").await.value(), &Status("OK".into()));
        assert_eq!(talk.run("get a").await.value(), &text("b c"));
        assert_eq!(talk.run("GET nothing").await.value(), &Nil);
        assert_eq!(talk.run("RPUSH l 1 2").await.value(), &Integer(2));
        assert_eq!(talk.run("LRANGE l 0 -1").await.value(), &List(vec![text("1"), text("2")]));
        assert_eq!(talk.run("SET bin \"\\x00\\xff\"").await.value(), &Status("OK".into()));
        assert_eq!(talk.run("GET bin").await.value(), &Bytes("\\x00\\xff".into()));
        let wrong = talk.run("INCR a").await.error().clone();
        assert_eq!(wrong.code.as_deref(), Some("ERR"), "{wrong:?}");
        assert_eq!(talk.run("LPUSH a x").await.error().code.as_deref(), Some("WRONGTYPE"));
        assert_eq!(talk.run("get 'a").await.error().code.as_deref(), Some("refused"));
        assert_eq!(talk.run("SELECT 3").await.value(), &Status("OK".into()));
        assert_eq!(talk.0.prompt().text, "shop-1[3]> ");
        assert_eq!(talk.run("GET a").await.value(), &Nil);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_spans_commands_and_ends_with_the_terminal() {
    for bed in both().await {
        let node = bed.primary("shop").await;
        let mut talk = bed.open(&node).await;
        talk.run("MULTI").await.value();
        assert!(talk.0.prompt().in_transaction && talk.0.prompt().text == "shop-1(TX)> ");
        assert_eq!(talk.run("SET a 1").await.value(), &Status("QUEUED".into()));
        talk.run("LPUSH a x").await.value();
        let all = talk.run("EXEC").await;
        assert!(matches!(all.value(), List(items) if items[0] == Status("OK".into()) && matches!(items[1], Error(_))), "{all:?}");
        assert!(!talk.0.prompt().in_transaction);
        talk.run("MULTI").await.value();
        talk.run("SET a 2").await.value();
        drop(talk);
        assert_eq!(bed.open(&node).await.run("GET a").await.value(), &text("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_lets_a_waiting_command_go_and_kills_a_script() {
    for bed in both().await {
        let node = bed.primary("shop").await;
        let mut talk = bed.open(&node).await;
        assert_eq!(talk.interrupted("BLPOP nothing 0").await.error().code.as_deref(), Some("UNBLOCKED"));
        let killed = talk.interrupted("EVAL 'while true do end' 0").await;
        assert!(killed.error().message.contains("killed"), "{:?}", killed.error());
        assert_eq!(talk.run("PING").await.value(), &Status("PONG".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_any_size_are_passed_over() {
    for bed in both().await {
        let node = bed.primary("shop").await;
        let mut talk = bed.open(&node).await;
        talk.run("EVAL \"for i=1,5000 do redis.call('RPUSH', 'l', i) end\" 0").await.value();
        let many = talk.run("LRANGE l 0 -1").await;
        assert!(matches!(many.value(), List(items) if items.len() == SHOWN_ROWS - 1 || items.len() == SHOWN_ROWS), "{:?}", many.done());
        assert!(many.done().cut.as_deref().is_some_and(|c| c.contains("5000 values")), "{:?}", many.done());
        talk.run("SETRANGE big 50000000 x").await.value();
        let big = talk.run("GET big").await;
        assert!(matches!(big.value(), Text(t) if t.len() < SHOWN_VALUE + 100 && t.ends_with("(50000001 bytes in all)")));
        assert_eq!(talk.run("PING").await.value(), &Status("PONG".into()), "the next answer is the next one's");
        let deep = "EVAL \"local t={1} for i=1,500 do t={t} end return t\" 0";
        let mut heard = crate::Heard::default();
        let ended = talk.0.run(deep, &mut heard).await;
        assert!(ended.is_err() || heard.0.iter().any(ConsoleSaid::ends_statement), "{:?}", heard.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_answers_what_the_server_says() {
    for bed in both().await {
        let node = bed.primary("shop").await;
        let replica = bed.replica(&node).await;
        let mut talk = bed.open(&replica).await;
        assert!(!talk.0.opened().writable);
        assert_eq!(talk.run("SET a 1").await.error().code.as_deref(), Some("READONLY"));
    }
}

/// What the guard refuses it refuses by name; the server refuses the same to whoever gets past it, here
/// through a script, which asks with the rights of its user.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_leads_to_the_host_or_to_mainstay() {
    for bed in both().await {
        let node = bed.primary("shop").await;
        let mut talk = bed.open(&node).await;
        for command in [
            "CONFIG GET *",
            "CONFIG SET dir /tmp",
            "ACL LIST",
            "ACL SETUSER default +@all",
            "ACL GETUSER mainstay",
            "MODULE LIST",
            "DEBUG SLEEP 0",
            "REPLICAOF 127.0.0.1 1",
            "SLAVEOF NO ONE",
            "FAILOVER",
            "SHUTDOWN NOSAVE",
            "BGSAVE",
            "SAVE",
            "BGREWRITEAOF",
            "MIGRATE 127.0.0.1 1 k 0 1",
            "CLIENT KILL TYPE normal",
            "CLIENT PAUSE 1000",
            "CLUSTER NODES",
            "PSYNC ? -1",
            "MONITOR",
        ] {
            let refused = talk.run(command).await;
            assert_eq!(refused.error().code.as_deref(), Some("refused"), "{command}: {refused:?}");
            let words: Vec<String> = command.split(' ').map(|w| format!("'{w}'")).collect();
            let through = talk.run(&format!("EVAL \"return redis.call({})\" 0", words.join(","))).await;
            let said = through.error().message.to_lowercase();
            assert!(
                said.contains("permission")
                    || said.contains("can't run this command")
                    || said.contains("not allowed from script")
                    || said.contains("noperm")
                    || said.contains("unknown"),
                "{command}: {said}"
            );
        }
        for command in ["AUTH mainstay x", "HELLO 3", "RESET", "SUBSCRIBE a", "CLIENT REPLY OFF"] {
            assert_eq!(talk.run(command).await.error().code.as_deref(), Some("refused"), "{command}");
        }
        assert_eq!(talk.run("ACL WHOAMI").await.value(), &text("default"));
        assert!(talk.run("config get dir").await.error().message.contains("mainstay cluster settings shop"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_its_server() {
    for bed in both().await {
        let node = bed.primary("shop").await;
        let talk = bed.open(&node).await;
        ends_with_its_server(&bed, &node, talk).await;
    }
}
