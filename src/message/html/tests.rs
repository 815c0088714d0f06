use super::*;

fn leads_out(address: &str) -> Option<WayOut> {
    (address == "https://out.example/?a=1&b=2").then_some(WayOut::Registered)
}

#[test]
fn a_way_out_is_one_only_where_a_reader_can_click_on_it() {
    const LINK: &str = "<a href=\"https://out.example/?a=1&amp;b=2\">leave</a>";
    let around = |before: &str, after: &str| format!("{before}{LINK}{after}");
    let table = [
        (around("", ""), true),
        (around("<html><head><title>x</title></head><body><p>", "</body></html>"), true),
        (around("<!--[if !mso]><!-->", "<!--<![endif]-->"), true),
        (around("<div style=\"display:none\"></div><div>", "</div>"), true),
        (around("<table><tr><td style='display:block'>", ""), true),
        (around("<!-- ", " -->"), false),
        (around("<!--[if mso]>", "<![endif]-->"), false),
        (around("<script>", "</script>"), false),
        (around("<style>", "</style>"), false),
        (around("<head>", "</head><body>x</body>"), false),
        (around("<title>", "</title>"), false),
        (around("<template>", "</template>"), false),
        (around("<div style=\"color:red; DISPLAY : none\">", "</div>"), false),
        (around("<div hidden>", "</div>"), false),
        (around("<div style=display:none><div>x</div>", "</div>"), false),
        (around("<textarea>", "</textarea>"), false),
        (around("<table><tr style=\"display:none\"><td>", "</td></tr></table>"), false),
        (around("<table><tr style='display:none'><td>x<tr><td>", "</table>"), true),
        (around("<table><tr><td hidden><table><tr><td>x<td>", "</table></table>"), false),
        (around("<table><tr><td hidden>x<td>", "</table>"), true),
        (around("<table><tr><td hidden>x</table>", ""), true),
        (around("<table><tbody hidden><tr><td>", "</table>"), false),
        (around("<ul><li hidden>x<ul><li>", "</ul></ul>"), false),
        (around("<ul><li hidden>x<li>", "</ul>"), true),
        (around("<p style=display:none>", "</p>"), false),
        (around("<p style=display:none>x<p>", ""), true),
        (around("<div><p hidden>x</div>", ""), true),
        (around("<font style='visibility:hidden'>", "</font>"), false),
        (around("<h3 hidden>", "</h3>"), false),
        ("<a href='https://out.example/?a=1&amp;b=2'><img src=x></a>".into(), true),
        ("<a href=https://out.example/?a=1&b=2>x</a>".into(), true),
        ("<A HREF=\"https&#58;//out.example/&#x3f;a=1&amp;b=2\">x</A>".into(), true),
        ("<map><area href=\"https://out.example/?a=1&amp;b=2\"></map>".into(), true),
        ("<a href=\"https://out.example/?a=1&amp;b=2\"></a>".into(), false),
        ("<a href=\"https://out.example/?a=1&amp;b=2\"> &nbsp;\u{200b}</a>x".into(), false),
        ("<a hidden href=\"https://out.example/?a=1&amp;b=2\">x</a>".into(), false),
        ("<a title=\"https://out.example/?a=1&amp;b=2\">x</a>".into(), false),
        ("<img src=\"https://out.example/?a=1&amp;b=2\">".into(), false),
        ("https://out.example/?a=1&amp;b=2".into(), false),
        ("<a x=\"<a href='https://out.example/?a=1&amp;b=2'>x</a>\">y</a>".into(), false),
    ];
    for (html, expected) in table {
        assert_eq!(look(&html, leads_out).way_out.is_some(), expected, "{html}");
    }
}

#[test]
fn the_end_of_the_body_is_the_last_one_that_is_one() {
    let table = [
        ("<body>x</body></html>", Some(7)),
        ("é<body>\r\nx\r\n</BODY >\r\n</html>", Some(13)),
        ("x</body>y</body>", Some(9)),
        ("x</body><!-- </body> -->", Some(1)),
        ("x<script>'</body>'</script>", None),
        ("x", None),
    ];
    for (html, expected) in table {
        let found = look(html, leads_out).body_end;
        assert_eq!(found, expected, "{html}");
        assert!(found.is_none_or(|at| html[at..].to_lowercase().starts_with("</body")), "{html}");
    }
}

#[test]
fn a_link_is_put_only_where_it_would_be_seen() {
    for (html, expected) in
        [("<p>x", true), ("<p>x<!-- ", false), ("<style>x", false), ("<a title=\"", false), ("", true)]
    {
        assert_eq!(would_be_seen(html, html.len()), expected, "{html}");
    }
}

#[test]
fn the_language_is_that_of_the_document() {
    assert_eq!(look("<html lang='fr-FR'><p lang=de>", leads_out).language.as_deref(), Some("fr-FR"));
    assert_eq!(look("<p lang=de>", leads_out).language, None);
}
