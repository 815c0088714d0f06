//! What a posted form says: urlencoded as browsers send it, or multipart/form-data (RFC 8058 section 3.1 allows both).

/// Names and values in order; what cannot be read is left out.
pub fn fields(content_type: &str, body: &[u8]) -> Vec<(String, String)> {
    let is_multipart = content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data");
    match boundary(content_type) {
        Some(boundary) if is_multipart => multipart(&String::from_utf8_lossy(body), &boundary),
        _ => urlencoded(body),
    }
}

fn urlencoded(body: &[u8]) -> Vec<(String, String)> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let named = pairs.map(|pair| {
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        (decoded(&pair[..equals]), decoded(pair.get(equals + 1..).unwrap_or_default()))
    });
    named.collect()
}

fn decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *byte == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn boundary(content_type: &str) -> Option<String> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, value) = parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

/// RFC 7578. Every part but the first, which is the preamble, follows a delimiter.
fn multipart(body: &str, boundary: &str) -> Vec<(String, String)> {
    body.split(&format!("--{boundary}")).skip(1).filter_map(part).collect()
}

fn part(part: &str) -> Option<(String, String)> {
    let (head, value) = part.split_once("\r\n\r\n").or_else(|| part.split_once("\n\n"))?;
    let is_disposition = |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition:");
    let parameters = head.lines().find(is_disposition)?.split(';').skip(1).filter_map(|text| text.split_once('='));
    let (_, name) = parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("name"))?;
    Some((name.trim().trim_matches('"').to_owned(), value.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let multipart =
            "--Zx\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--Zx--\r\n";
        let table = [
            ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
            ("application/x-www-form-urlencoded; charset=utf-8", "List-Unsubscribe=One%2DClick&"),
            ("", "List%2dUnsubscribe=One-Click"),
            ("multipart/form-data; boundary=Zx", multipart),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"Zx\"", multipart),
        ];
        for (content_type, body) in table {
            let expected = [("List-Unsubscribe".to_owned(), "One-Click".to_owned())];
            assert_eq!(fields(content_type, body.as_bytes()), expected, "{content_type}");
        }
        assert_eq!(fields("", b"a=b+c&d&e=%zz"), [pair("a", "b c"), pair("d", ""), pair("e", "%zz")]);
        assert_eq!(fields("multipart/form-data; boundary=Zx", b"--Zx--"), []);
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    proptest! {
        #[test]
        fn any_body_is_read(
            content_type in "(multipart/form-data)?(; ?boundary=\"?[a-z]{0,2})?",
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            fields(&content_type, &body);
        }
    }
}
