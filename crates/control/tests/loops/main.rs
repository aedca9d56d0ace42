//! Every operation, with something going wrong at every place there is: real control plane, real
//! agent, real store; a fake outside that is compared as a whole, and clients that write all along.

mod backups;
mod clusters;
mod scene;

use scene::survives;

/// A test for each story, and the list of all of them.
macro_rules! loops {
    ($($name:ident: $story:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            survives($story).await;
        })*
        fn kinds() -> Vec<&'static str> {
            vec![$(scene::Story::kind(&$story)),*]
        }
    };
}

const MEMO: &str = "memo";
const LEDGER: &str = "ledger";

loops! {
    create_single: clusters::Create { engine: MEMO, replicas: 0 };
    create_pair: clusters::Create { engine: LEDGER, replicas: 1 };
    back_up_first: backups::BackUp { engine: MEMO, replicas: 0 };
    back_up_replica: backups::BackUp { engine: LEDGER, replicas: 1 };
}
