//! Whether two files that have parts of one package say the same of what is in both.
//!
//! wit-parser puts them together by their names, and keeps the first of two definitions.

use wit_parser::{
    Function, Handle, Interface, Package, Resolve, Type, TypeDefKind, TypeId, TypeOwner,
};

/// The first item that is in both packages, and not the same.
pub(super) fn difference(
    (one, package): (&Resolve, &Package),
    (other, other_package): (&Resolve, &Package),
) -> Option<String> {
    package.interfaces.iter().find_map(|(name, id)| {
        let interface = &one.interfaces[*id];
        let other_interface = &other.interfaces[*other_package.interfaces.get(name)?];
        let item = in_interfaces((one, interface), (other, other_interface))?;
        Some(format!(
            "{}.{item}",
            one.id_of_name(interface.package?, name)
        ))
    })
}

fn in_interfaces<'a>(
    (one, interface): (&'a Resolve, &'a Interface),
    (other, other_interface): (&Resolve, &Interface),
) -> Option<&'a str> {
    let differs = |name: &str, id: TypeId| {
        let known = other_interface.types.get(name);
        known.is_some_and(|known| definition(one, id) != definition(other, *known))
    };
    let types = interface.types.iter();
    let mut types = types.filter(|(name, id)| differs(name, **id));
    let differs = |name: &str, function: &Function| {
        let known = other_interface.functions.get(name);
        known.is_some_and(|known| signature(one, function) != signature(other, known))
    };
    let functions = interface.functions.iter();
    let mut functions = functions.filter(|(name, function)| differs(name, function));
    let first = types.next().map(|(name, _)| name);
    first
        .or_else(|| functions.next().map(|(name, _)| name))
        .map(String::as_str)
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params = function.params.iter();
    let params = params.map(|param| format!("{}: {}", param.name, used(resolve, param.ty)));
    let result = function.result.map(|result| used(resolve, result));
    format!(
        "({}) -> {}",
        params.collect::<Vec<_>>().join(", "),
        result.unwrap_or_default()
    )
}

/// A type where it is used: its name, if it has one.
fn used(resolve: &Resolve, used: Type) -> String {
    let Type::Id(id) = used else {
        return format!("{used:?}");
    };
    let Some(name) = &resolve.types[id].name else {
        return definition(resolve, id);
    };
    let owner = match resolve.types[id].owner {
        TypeOwner::Interface(interface) => resolve.id_of(interface),
        TypeOwner::World(_) | TypeOwner::None => None,
    };
    format!("{}.{name}", owner.unwrap_or_default())
}

fn definition(resolve: &Resolve, id: TypeId) -> String {
    let all = |types: &[Type]| {
        let types: Vec<String> = types.iter().map(|each| used(resolve, *each)).collect();
        types.join(", ")
    };
    let optional = |each: Option<Type>| each.map_or_else(|| "_".to_owned(), |each| all(&[each]));
    let named = |names: &mut dyn Iterator<Item = (&String, Option<Type>)>| {
        let names = names.map(|(name, payload)| format!("{name}: {}", optional(payload)));
        names.collect::<Vec<_>>().join(", ")
    };
    let kind = &resolve.types[id].kind;
    let inner = match kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            named(&mut fields.map(|field| (&field.name, Some(field.ty))))
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            named(&mut cases.map(|case| (&case.name, case.ty)))
        }
        TypeDefKind::Enum(cases) => {
            let cases = cases.cases.iter();
            named(&mut cases.map(|case| (&case.name, None)))
        }
        TypeDefKind::Flags(flags) => {
            let flags = flags.flags.iter();
            named(&mut flags.map(|flag| (&flag.name, None)))
        }
        TypeDefKind::Tuple(tuple) => all(&tuple.types),
        TypeDefKind::Result(result) => {
            format!("{}, {}", optional(result.ok), optional(result.err))
        }
        TypeDefKind::Map(key, value) => all(&[*key, *value]),
        TypeDefKind::Future(payload) | TypeDefKind::Stream(payload) => optional(*payload),
        TypeDefKind::FixedLengthList(element, length) => {
            format!("{}, {length}", used(resolve, *element))
        }
        TypeDefKind::Type(other) | TypeDefKind::List(other) | TypeDefKind::Option(other) => {
            used(resolve, *other)
        }
        TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
            used(resolve, Type::Id(*resource))
        }
        TypeDefKind::Resource | TypeDefKind::Unknown => String::new(),
    };
    let borrowed = matches!(kind, TypeDefKind::Handle(Handle::Borrow(_)));
    let word = if borrowed { "borrow" } else { kind.as_str() };
    format!("{word}<{inner}>")
}
