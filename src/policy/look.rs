//! How a controller's pages look: its logo, its colour, its own words.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::consent::ledger::hex;

/// What a controller sets of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// `None` also where a policy was read again from its texts alone.
    pub logo: Option<Image>,
    pub accent: Option<Accent>,
    /// Language → message → what is said instead.
    pub texts: BTreeMap<String, BTreeMap<String, String>>,
}

/// A picture of a kind that browsers show and that we serve.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    bytes: Arc<[u8]>,
    media_type: &'static str,
    /// Of its content, so that the address changes with it.
    hash: String,
}

/// What no picture on a page needs to exceed.
pub const LARGEST_IMAGE: usize = 256 * 1024;

/// Why a file is no picture for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    TooLarge,
    OtherKind,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageError::TooLarge => write!(f, "is larger than {} KiB; make it smaller", LARGEST_IMAGE / 1024),
            ImageError::OtherKind => f.write_str("is no PNG, JPEG, WebP, GIF or SVG; save it as one of these"),
        }
    }
}

impl std::error::Error for ImageError {}

impl Image {
    /// What it is, its first bytes say and not its name.
    pub fn new(bytes: Vec<u8>) -> Result<Image, ImageError> {
        if bytes.len() > LARGEST_IMAGE {
            return Err(ImageError::TooLarge);
        }
        let media_type = media_type(&bytes).ok_or(ImageError::OtherKind)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        Ok(Image { hash: hex(&digest.as_ref()[..16]), media_type, bytes: bytes.into() })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// Half of its SHA-256, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    if begins(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if begins(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if begins(b"GIF87a") || begins(b"GIF89a") {
        Some("image/gif")
    } else if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else {
        std::str::from_utf8(bytes).is_ok_and(is_svg).then_some("image/svg+xml")
    }
}

/// Behind what XML allows before its first element.
fn is_svg(text: &str) -> bool {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some(end) = [("<?", "?>"), ("<!--", "-->"), ("<!DOCTYPE", ">")]
        .iter()
        .find_map(|(open, close)| rest.starts_with(open).then(|| rest.find(close).map(|at| at + close.len())))
    {
        let Some(end) = end else { return false };
        rest = rest[end..].trim_start();
    }
    let name = rest.strip_prefix("<svg");
    name.is_some_and(|after| after.starts_with([' ', '\t', '\r', '\n', '>', '/']))
}

/// A colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// The darkest light paper and the lightest dark one that text in the accent stands on; as in `style.css`.
pub const LIGHT_PAPER: Colour = Colour([0xf5, 0xf6, 0xf8]);
pub const DARK_PAPER: Colour = Colour([0x1e, 0x23, 0x2c]);
/// WCAG 2.2, 1.4.3.
const LEAST_CONTRAST: f64 = 4.5;

impl Colour {
    pub const WHITE: Colour = Colour([0xff; 3]);
    pub const BLACK: Colour = Colour([0; 3]);

    /// `#rrggbb`.
    pub fn parse(text: &str) -> Option<Colour> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
        Some(Colour([part(0)?, part(2)?, part(4)?]))
    }

    /// WCAG 2.2, "contrast ratio": from 1 to 21.
    pub fn contrast(self, other: Colour) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// A step of so many percent towards another.
    fn towards(self, other: Colour, percent: u16) -> Colour {
        let mix = |part: usize| {
            let (from, to) = (u16::from(self.0[part]), u16::from(other.0[part]));
            ((from * (100 - percent) + to * percent) / 100) as u8 // between two bytes
        };
        Colour([mix(0), mix(1), mix(2)])
    }

    fn legible_on(self, paper: Colour) -> bool {
        self.contrast(paper) >= LEAST_CONTRAST
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// The colour of links and buttons on light and on dark paper: as the controller has it on the paper it is legible on,
/// and as much lighter or darker on the other as it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    pub on_light: Colour,
    pub on_dark: Colour,
}

impl Accent {
    /// `None`: hard to read on either paper.
    pub fn new(colour: Colour) -> Option<Accent> {
        let fits = |paper| colour.legible_on(paper);
        (fits(LIGHT_PAPER) || fits(DARK_PAPER)).then(|| Accent {
            on_light: legible(colour, LIGHT_PAPER, Colour::BLACK),
            on_dark: legible(colour, DARK_PAPER, Colour::WHITE),
        })
    }
}

/// Black and white are legible on these papers, so there is an answer.
fn legible(colour: Colour, paper: Colour, end: Colour) -> Colour {
    let steps = (0..=100).map(|percent| colour.towards(end, percent));
    steps.into_iter().find(|step| step.legible_on(paper)).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn colour(text: &str) -> Colour {
        Colour::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn contrast_is_as_the_guidelines_count_it() {
        // The ratios that webaim.org's checker gives.
        let table = [("#000000", 21.0), ("#ffffff", 1.0), ("#777777", 4.47), ("#767676", 4.54), ("#0000ff", 8.59)];
        for (text, expected) in table {
            let ratio = colour(text).contrast(Colour::WHITE);
            assert!((ratio - expected).abs() < 0.011, "{text}: {ratio}");
        }
        for wrong in ["", "#fff", "123456", "#12345", "#1234567", "#12345g", "#+12345", "#é1234", "red"] {
            assert_eq!(Colour::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_colour_that_is_hard_to_read_on_both_papers_is_refused() {
        for (text, fits) in
            [("#1b4fb3", true), ("#8db4ff", true), ("#7d7d7d", false), ("#d0021b", true), ("#808080", false)]
        {
            assert_eq!(Accent::new(colour(text)).is_some(), fits, "{text}");
        }
        let navy = Accent::new(colour("#1b4fb3")).unwrap();
        assert_eq!(navy.on_light, colour("#1b4fb3"), "where it is legible it stays");
        assert_ne!(navy.on_dark, navy.on_light);
    }

    #[test]
    fn the_papers_are_those_of_the_style() {
        let style = include_str!("../../templates/style.css");
        assert!(style.contains(&format!("--paper: {LIGHT_PAPER}")) && style.contains(&format!("--card: {DARK_PAPER}")));
    }

    #[test]
    fn a_picture_is_known_by_its_bytes() {
        let table: [(&[u8], _); 12] = [
            (b"\x89PNG\r\n\x1a\n...", Ok("image/png")),
            (b"\xff\xd8\xff\xe0", Ok("image/jpeg")),
            (b"GIF89a", Ok("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Ok("image/webp")),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Ok("image/svg+xml")),
            (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <svg --><!DOCTYPE svg>\n<svg>", Ok("image/svg+xml")),
            (b"<html><svg></svg></html>", Err(ImageError::OtherKind)),
            (b"<svgx>", Err(ImageError::OtherKind)),
            (b"<!-- <svg>", Err(ImageError::OtherKind)),
            (b"RIFF\0\0\0\0WAVE", Err(ImageError::OtherKind)),
            (b"", Err(ImageError::OtherKind)),
            (&[0; LARGEST_IMAGE + 1], Err(ImageError::TooLarge)),
        ];
        for (bytes, expected) in table {
            let read = Image::new(bytes.to_vec());
            assert_eq!(read.as_ref().map(Image::media_type).map_err(|error| *error), expected, "{bytes:.20?}");
        }
        let hash = |bytes: &[u8]| Image::new(bytes.to_vec()).unwrap().hash().to_owned();
        assert_ne!(hash(b"GIF89a1"), hash(b"GIF89a2"));
    }

    proptest! {
        #[test]
        fn an_accent_is_legible_wherever_it_stands(parts: [u8; 3]) {
            if let Some(accent) = Accent::new(Colour(parts)) {
                prop_assert!(accent.on_light.contrast(LIGHT_PAPER) >= LEAST_CONTRAST);
                prop_assert!(accent.on_light.contrast(Colour::WHITE) >= LEAST_CONTRAST);
                prop_assert!(accent.on_dark.contrast(DARK_PAPER) >= LEAST_CONTRAST);
                prop_assert!(accent.on_dark.contrast(Colour([0x14, 0x17, 0x1d])) >= LEAST_CONTRAST);
            }
        }
    }
}
