//! Tests of the page's contents; those of its display in a browser stand in `tests/page`.

use model::synthetic::{self, Shape};

use super::*;

fn between<'a>(page: &'a str, begin: &str) -> &'a str {
    let (_, rest) = page.split_once(begin).unwrap();
    rest.split_once("</script>").unwrap().0
}

#[test]
fn its_data_are_the_export_to_the_last_digit() {
    let session = synthetic::session(3, Shape::default());
    let json = text(&session).unwrap();
    let page = super::session(&session, &[]).unwrap();
    let data = between(&page, "id=\"data\">");
    let ours: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(ours, serde_json::from_str::<serde_json::Value>(&json).unwrap());
    assert_eq!(page.matches("{{").count(), 0);
}

#[test]
fn nothing_in_the_data_can_end_it() {
    let hostile =
        r#"{"schema":"pulse-trace/1","comm":"</script><script>alert(1)</script>","a b":"q\" { \\"}"#;
    let page = page(hostile, &["</script> found".to_owned()], &["</script><!--".to_owned()]);
    assert_eq!(page.matches("</script>").count(), 4);
    assert!(!page.contains("<!--") && !page.contains("alert(1)</"));
    let data: serde_json::Value = serde_json::from_str(between(&page, "id=\"data\">")).unwrap();
    assert_eq!(data, serde_json::from_str::<serde_json::Value>(hostile).unwrap());
    assert_eq!(between(&page, "id=\"findings\">"), "[\"\\u003c/script> found\"]");
    assert_eq!(between(&page, "id=\"remarks\">"), "[\"\\u003c/script>\\u003c!--\"]");
}

#[test]
fn it_names_no_other_file_and_no_host() {
    let page = super::session(&synthetic::session(3, Shape::default()), &[]).unwrap();
    for word in ["src=", "@import", "url(", "https:", "fetch(", "XMLHttpRequest", "innerHTML", "eval("] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn what_is_too_large_leaves_out_details_and_says_so() {
    let shape = Shape { frames: 3, processes: 150, threads: 6, ..Shape::default() };
    let session = synthetic::session(3, shape);
    assert!(text(&session).unwrap().len() > LARGEST);
    let page = super::session(&session, &[]).unwrap();
    assert!(page.len() <= LARGEST, "{}", page.len());
    assert!(between(&page, "id=\"remarks\">").contains("Threads are left out"));
    let data: serde_json::Value = serde_json::from_str(between(&page, "id=\"data\">")).unwrap();
    assert_eq!(data["ledger"]["counted"], session.ledger.counted);
}
