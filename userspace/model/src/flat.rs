//! Structs of which one field's own fields stand beside the others in a file. Other than with `serde(flatten)`, nothing
//! is put aside on reading: each field is read where it belongs at once.

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, MapAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
};

/// Fields beside those of another struct.
pub trait Beside: Default {
    /// Reads the value that comes next, if it is that of one of these; tells whether it is.
    ///
    /// # Errors
    /// Those of the input, and when a field comes a second time.
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, input: &mut A) -> Result<bool, A::Error>;
}

/// Reads fields and the struct beside which they stand.
///
/// # Errors
/// Those of the input.
pub fn read<'de, B: Beside, R: Deserialize<'de>, D: Deserializer<'de>>(input: D) -> Result<(B, R), D::Error> {
    struct Whole<B, R>(B, std::marker::PhantomData<R>);

    impl<'de, B: Beside, R: Deserialize<'de>> Visitor<'de> for Whole<B, R> {
        type Value = (B, R);

        fn expecting(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            text.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(B, R), A::Error> {
            let rest = Rest { map, beside: &mut self.0 };
            let rest = R::deserialize(MapAccessDeserializer::new(rest))?;
            Ok((self.0, rest))
        }
    }

    input.deserialize_map(Whole(B::default(), std::marker::PhantomData))
}

/// An object without the fields that are taken out of it.
struct Rest<'b, A, B> {
    map: A,
    beside: &'b mut B,
}

impl<'de, A: MapAccess<'de>, B: Beside> MapAccess<'de> for Rest<'_, A, B> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.map.next_key::<Name<'de>>()? {
            if !self.beside.take(&name.0, &mut self.map)? {
                return seed.deserialize(StrDeserializer::new(&name.0)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// A field's name; it stays where it is unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

/// Reads a struct of which one field stands in the file as its own fields: `needs` those that have to be there, `has`
/// those that may be left out, with the types that they have in the file.
#[macro_export]
macro_rules! read_beside {
    (
        $whole:ident needs { $($needed:ident: $needed_type:ty),* } has { $($had:ident: $had_type:ty),* }
        beside $rest:ident; $built:expr
    ) => {
        impl<'de> ::serde::Deserialize<'de> for $whole {
            fn deserialize<D: ::serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                #[derive(Default)]
                struct Own {
                    $($needed: Option<$needed_type>,)*
                    $($had: Option<$had_type>,)*
                }

                impl $crate::flat::Beside for Own {
                    fn take<'de, A: ::serde::de::MapAccess<'de>>(
                        &mut self,
                        name: &str,
                        input: &mut A,
                    ) -> Result<bool, A::Error> {
                        let is_second = match name {
                            $(stringify!($needed) => self.$needed.replace(input.next_value()?).is_some(),)*
                            $(stringify!($had) => self.$had.replace(input.next_value()?).is_some(),)*
                            _ => return Ok(false),
                        };
                        if is_second {
                            return Err(::serde::de::Error::custom(format_args!("duplicate field `{name}`")));
                        }
                        Ok(true)
                    }
                }

                let (own, $rest) = $crate::flat::read::<Own, _, D>(input)?;
                $(
                    let missing = || ::serde::de::Error::missing_field(stringify!($needed));
                    let $needed = own.$needed.ok_or_else(missing)?;
                )*
                $(let $had = own.$had.unwrap_or_default();)*
                Ok($built)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use crate::frame::{Abi, CallFrame};

    #[test]
    fn fields_are_read_in_any_order_and_needed_ones_have_to_be_there_once() {
        let read = |text: &str| serde_json::from_str::<CallFrame>(text).map_err(|error| error.to_string());
        let call =
            read(r#"{"untimed":3,"later":[{}],"n\u0072":7,"op":null,"compat":true,"in_flight":2}"#).unwrap();
        assert_eq!((call.call.nr, call.call.abi, call.call.operation), (7, Abi::Compat, None));
        assert_eq!((call.stats.untimed, call.stats.in_flight, call.thread), (3, 2, None));
        for (text, fault) in [
            (r#"{"untimed":3}"#, "missing field `nr`"),
            (r#"{"nr":3,"nr":3}"#, "duplicate field `nr`"),
            (r#"{"nr":3,"untimed":3,"untimed":3}"#, "duplicate field `untimed`"),
            (r#"{"nr":-1}"#, "invalid value"),
            (r#"[1]"#, "expected an object"),
        ] {
            let refusal = read(text).unwrap_err();
            assert!(refusal.contains(fault), "{text}: {refusal}");
        }
    }
}
