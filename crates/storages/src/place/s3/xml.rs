//! What S3 servers answer, read leniently: names are matched without their namespace, and what is
//! not there is empty.

use mainstay_model::{Error, Result};
use roxmltree::{Document, Node};

pub fn parse<T>(body: &[u8], read: impl FnOnce(Node) -> T) -> Result<T> {
    let text = std::str::from_utf8(body).map_err(|_| unreadable("it is not UTF-8"))?;
    // A byte order mark and white space before the declaration are seen in the wild.
    let document = Document::parse(text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t'])).map_err(unreadable)?;
    Ok(read(document.root_element()))
}

fn unreadable(why: impl std::fmt::Display) -> Error {
    Error::failed("storage_protocol", format!("the storage's answer is not the XML of an S3 server: {why}"))
}

pub fn text(node: Node, name: &str) -> String {
    let found = node.children().find(|n| n.tag_name().name() == name);
    found.and_then(|n| n.text()).unwrap_or_default().trim().to_owned()
}

/// `Code` and `Message` of an error reply, empty where there are none.
pub fn fault(body: &[u8]) -> (String, String) {
    let read = |root: Node| match root.tag_name().name() {
        "Error" => (text(root, "Code"), text(root, "Message")),
        _ => Default::default(),
    };
    parse(body, read).unwrap_or_default()
}

/// The region a reply wants requests signed for.
pub fn wanted_region(body: &[u8]) -> Option<String> {
    parse(body, |root| text(root, "Region")).ok().filter(|r| !r.is_empty())
}
