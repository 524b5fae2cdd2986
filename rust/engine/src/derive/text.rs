//! Functions of a text.

use super::{Arguments, Type, arithmetic::any_null};
use crate::definition::FieldKind;
use crate::event::Value;

fn texts(arguments: &[Type], kind: FieldKind) -> Result<Type, String> {
    match arguments[0].kind {
        FieldKind::String => Ok(Type { kind, nullable: any_null(arguments) }),
        _ => Err(format!("takes a String, not a {}", arguments[0].name())),
    }
}

pub(super) fn to_text(arguments: &[Type]) -> Result<Type, String> {
    texts(arguments, FieldKind::String)
}

pub(super) fn to_number(arguments: &[Type]) -> Result<Type, String> {
    texts(arguments, FieldKind::Int64)
}

pub(super) fn lower(arguments: &mut Arguments<'_>) -> Value {
    match arguments.values[0] {
        Value::Text(text) => Value::Text(arguments.event.store_lower(text)),
        _ => Value::Null,
    }
}

pub(super) fn len(arguments: &mut Arguments<'_>) -> Value {
    match arguments.values[0] {
        Value::Text(text) => Value::Int(arguments.event.text(text).chars().count() as i64),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Event;

    fn lowered(text: &str) -> String {
        let event = &mut Event::default();
        event.store("SOMETHING BEFORE");
        let values = [Value::Text(event.store(text)), Value::Null, Value::Null, Value::Null];
        let Value::Text(low) = lower(&mut Arguments { values, event, ticks_per_second: 1 }) else { panic!("a text") };
        event.text(low).to_owned()
    }

    #[test]
    fn lower_case_is_that_of_unicode() {
        for (text, expected) in
            [("", ""), ("ABC-1z", "abc-1z"), ("ÄÖẞ", "äöß"), ("İ", "i\u{307}"), ("ΟΔΟΣ ΣΑΣ", "οδος σας")]
        {
            assert_eq!(lowered(text), expected);
        }
    }

    #[test]
    fn length_counts_characters_not_bytes() {
        let event = &mut Event::default();
        let values = [Value::Text(event.store("aé漢🦀")), Value::Null, Value::Null, Value::Null];
        assert_eq!(len(&mut Arguments { values, event, ticks_per_second: 1 }), Value::Int(4));
    }

    proptest! {
        #[test]
        fn every_text_is_lowered_as_the_standard_library_does(text in "[\\PCA-ZΣσ .İ]{0,20}") {
            prop_assert_eq!(lowered(&text), text.to_lowercase());
        }
    }
}
