//! A document in which a part is generated: what stands between two markers.

pub(crate) const BEGIN: &str = "<!-- compare: begin -->";
pub(crate) const END: &str = "<!-- compare: end -->";

/// The document with another text between its markers, which stay. Says what is wrong with the markers.
pub(crate) fn replace(document: &str, text: &str) -> Result<String, String> {
    let once = |marker| {
        let mut places = document.match_indices(marker);
        match (places.next(), places.next()) {
            (Some((place, _)), None) => Ok(place),
            (None, _) => Err(format!("there is no line {marker}")),
            (Some(_), Some(_)) => Err(format!("{marker} is there more than once")),
        }
    };
    let (begin, end) = (once(BEGIN)? + BEGIN.len(), once(END)?);
    let (before, after) = (document.get(..begin), document.get(end..));
    match (before, after) {
        (Some(before), Some(after)) if begin <= end => Ok(format!("{before}\n\n{}\n\n{after}", text.trim())),
        _ => Err(format!("{END} stands before {BEGIN}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_markers_is_replaced_and_nothing_else() {
        let document = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let replaced = replace(&document, "new\n").expect("it has both markers");
        assert_eq!(replaced, format!("above\n{BEGIN}\n\nnew\n\n{END}\nbelow\n"));
        assert_eq!(replace(&replaced, "new"), Ok(replaced.clone()), "once more changes nothing");
    }

    #[test]
    fn a_document_without_its_markers_is_left_alone() {
        assert!(replace("nothing", "new").is_err());
        assert!(replace(BEGIN, "new").is_err());
        assert!(replace(&format!("{END}\n{BEGIN}\n"), "new").is_err());
        assert!(replace(&format!("{BEGIN}\n{BEGIN}\n{END}\n"), "new").is_err());
    }
}
