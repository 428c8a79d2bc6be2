//! Character sets of one byte a character that came before the standards of today, so that no encoding library has them.
//!
//! Written down from what MySQL 9.7 and MariaDB 10.11 convert each byte to, which is the same; the tests compare every byte with both.

/// From a byte on, what it and the following mean; `?`: nothing.
type Segment = (u8, &'static str);

const NOTHING: char = '?';

/// Bytes outside of the segments are the characters of the same number.
const SETS: [(&str, &[Segment]); 9] = [
    (
        "cp850",
        &[(
            0x80,
            "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
        )],
    ),
    (
        "cp852",
        &[(
            0x80,
            "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×čáíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐└┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{ad}˝˛ˇ˘§÷¸°¨˙űŘř■\u{a0}",
        )],
    ),
    (
        "hp8",
        &[(
            0xa1,
            "ÀÂÈÊËÎÏ´ˋˆ¨˜ÙÛ₤¯Ýý°ÇçÑñ¡¿¤£¥§ƒ¢âêôûáéóúàèòùäëöüÅîØÆåíøæÄìÖÜÉïßÔÁÃãÐðÍÌÓÒÕõŠšÚŸÿÞþ·µ¶¾—¼½ªº«■»±?",
        )],
    ),
    ("dec8", &[(0xa4, "?¥?§¤©ª«????°±²³?µ¶·?¹º»¼½?"), (0xd0, "?ÑÒÓÔÕÖŒØÙÚÛÜŸ?"), (0xf0, "?ñòóôõöœøùúûüÿ??")]),
    (
        "swe7",
        &[
            (0x40, "É"),
            (0x5b, "ÄÖÅÜ"),
            (0x60, "é"),
            (
                0x7b,
                "äöåü?????????????????????????????????????????????????????????????????????????????????????????????????????????????????????????????????",
            ),
        ],
    ),
    (
        "macce",
        &[(
            0x80,
            "ÄĀāÉĄÖÜáąČäčĆćéŹźĎíďĒēĖóėôöõúĚěü†°Ę£§•¶ß®©™ę¨≠ģĮįĪ≤≥īĶ∂∑łĻļĽľĹĺŅņŃ¬√ńŇ∆«»…\u{a0}ňŐÕőŌ–—“”‘’÷◊ōŔŕŘ‹›řŖŗŠ‚„šŚśÁŤťÍŽžŪÓÔūŮÚůŰűŲųÝýķŻŁżĢˇ",
        )],
    ),
    (
        "keybcs2",
        &[(
            0x80,
            "ČüéďäĎŤčěĚĹÍľĺÄÁÉžŽôöÓůÚýÖÜŠĽÝŘťáíóúňŇŮÔšřŕŔ¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
        )],
    ),
    (
        "armscii8",
        &[(
            0xa1,
            "❁§։)(»«—.՝,-՟…՜՛՞ԱաԲբԳգԴդԵեԶզԷէԸըԹթԺժԻիԼլԽխԾծԿկՀհՁձՂղՃճՄմՅյՆնՇշՈոՉչՊպՋջՌռՍսՎվՏտՐրՑցՒւՓփՔքՕօՖֆ’'",
        )],
    ),
    (
        "geostd8",
        &[
            (0x80, "€?‚?„…†‡?‰?‹?????‘’“”•–—???›????"),
            (0xc0, "აბგდევზჱთიკლმნჲოპჟრსტჳუფქღყშჩცძწჭხჴჯჰჵ???????????????????????№??"),
        ],
    ),
];

/// What each byte of the character set of this name means; none where there is no such set. `none` stands where a byte means nothing.
pub(super) fn named(name: &str, none: char) -> Option<[char; 256]> {
    let (_, segments) = SETS.iter().find(|(known, _)| *known == name)?;
    let mut table: [char; 256] = std::array::from_fn(|byte| char::from(u8::try_from(byte).unwrap_or(0)));
    for (first, text) in *segments {
        for (place, c) in table.iter_mut().skip(usize::from(*first)).zip(text.chars()) {
            *place = if c == NOTHING { none } else { c };
        }
    }
    Some(table)
}
