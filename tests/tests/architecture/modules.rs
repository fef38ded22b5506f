//! Modules of a crate that use each other in a circle.
//!
//! The paths in a module's code are resolved to files. A child may use its parent, so these paths are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use biosweep_tests::files_under;

/// The path of a module from the root of its crate.
type Module = Vec<String>;

/// The modules of a crate: the lines of each before its tests, without comments.
struct Modules(BTreeMap<Module, String>);

impl Modules {
    fn of(sources: &Path) -> Self {
        let files = files_under(sources, &["rs"]).into_iter().filter_map(|file| {
            let inside = file.strip_prefix(sources).expect("a file in the folder").with_extension("");
            let mut module: Module =
                inside.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            if module.len() == 1 && module[0] == "main" && sources.join("lib.rs").exists() {
                return None;
            }
            module.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
            let is_test = module.iter().any(|name| name == "tests");
            (!is_test).then(|| (module, code(&file)))
        });
        Self(files.collect())
    }

    /// The other modules whose definitions a module uses, but for those that contain it.
    fn used_by(&self, module: &Module) -> BTreeSet<Module> {
        let text = &self.0[module];
        let paths = imports(text).into_iter().map(|(path, _)| path).chain(inline_paths(text));
        let used = paths.filter_map(|path| self.resolve(module, &path, 0));
        used.filter(|used| !module.starts_with(used)).collect()
    }

    /// The module that defines what a path names. A name that the module has imported is followed.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut names = path.iter().peekable();
        let mut at = from.clone();
        match path.first()?.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
            }
            child if self.0.contains_key(&join(from, child)) => {}
            _ => return None,
        }
        names.next_if(|name| ["crate", "self", "super"].contains(&name.as_str()));
        while names.next_if(|name| *name == "super").is_some() {
            at.pop();
        }
        for name in names {
            let child = join(&at, name);
            if self.0.keys().any(|module| module.starts_with(&child)) {
                at = child;
                continue;
            }
            let text = self.0.get(&at)?;
            let import = imports(text).into_iter().find(|(_, known_as)| known_as == name);
            let source = import.filter(|_| depth < 8).and_then(|(path, _)| self.resolve(&at, &path, depth + 1));
            return Some(source.unwrap_or(at));
        }
        self.0.contains_key(&at).then_some(at)
    }
}

fn join(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// The lines of a file before its tests, without comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a source file");
    let lines = text.lines().map(str::trim).take_while(|line| !line.ends_with("mod tests {"));
    lines.filter(|line| !line.starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The imported paths, each with the name that it has in the module.
fn imports(text: &str) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("use ") {
        let is_item = rest[..start].rsplit('\n').next().is_some_and(|before| {
            let before = before.trim();
            before.is_empty() || before.starts_with("pub")
        });
        rest = &rest[start + 4..];
        if is_item && let Some((tree, after)) = rest.split_once(';') {
            expand(&[], tree, &mut found);
            rest = after;
        }
    }
    found
}

fn expand(before: &[String], tree: &str, found: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    if let Some((head, inside)) = tree.split_once('{') {
        let head = head.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        let before: Vec<String> = before.iter().cloned().chain(head).collect();
        let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
        let mut depth = 0;
        let branches = inside.split(|character| {
            depth += i32::from(character == '{') - i32::from(character == '}');
            character == ',' && depth == 0
        });
        branches.filter(|branch| !branch.trim().is_empty()).for_each(|branch| expand(&before, branch, found));
        return;
    }
    let (path, known_as) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim())));
    let names = path.split("::").map(str::trim).map(str::to_owned);
    let mut path: Vec<String> = before.iter().cloned().chain(names).collect();
    if path.len() > 1 {
        path.pop_if(|last| last == "self" || last == "*");
    }
    let known_as = known_as.map(str::to_owned).or_else(|| path.last().cloned());
    found.extend(known_as.map(|known_as| (path, known_as)));
}

/// The paths with at least two names in a text.
fn inline_paths(text: &str) -> Vec<Vec<String>> {
    let words = text.split(|character: char| !(character.is_alphanumeric() || "_:".contains(character)));
    let paths = words.filter(|word| word.contains("::") && !word.starts_with(':'));
    paths.map(|word| word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()).collect()
}

/// The circles of the modules under a folder, each as the modules that use each other.
pub(crate) fn circles(sources: &Path) -> Vec<BTreeSet<String>> {
    let modules = Modules::of(sources);
    let used: BTreeMap<&Module, BTreeSet<Module>> =
        modules.0.keys().map(|module| (module, modules.used_by(module))).collect();
    let reached = |start: &Module| {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&Module> = used[start].iter().collect();
        while let Some(module) = open.pop() {
            if reached.insert(module) {
                open.extend(&used[module]);
            }
        }
        reached
    };
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = used.keys().map(|&module| (module, reached(module))).collect();
    let circle = |module: &Module| {
        let others = reached[module].iter().filter(|other| reached[**other].contains(module));
        others.map(|other| other.join("::")).collect::<BTreeSet<String>>()
    };
    let circles: BTreeSet<_> = used.keys().map(|module| circle(module)).filter(|circle| !circle.is_empty()).collect();
    circles.into_iter().collect()
}

#[test]
fn a_path_is_expanded_into_its_names() {
    let text = "pub use super::a::{self, b::{C as D, E}};\nlet x = crate::f::g(1);\n";
    let known: Vec<String> =
        imports(text).into_iter().map(|(path, name)| format!("{} {name}", path.join("."))).collect();
    assert_eq!(known, ["super.a a", "super.a.b.C D", "super.a.b.E E"]);
    assert!(inline_paths(text).contains(&vec!["crate".to_owned(), "f".to_owned(), "g".to_owned()]));
}

#[test]
fn siblings_that_use_each_other_are_found() {
    let sources = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(sources.path().join(name), text).expect("written");
    write("lib.rs", "mod a;\nmod b;\nmod c;\n");
    write("a.rs", "use crate::b::B;\npub struct A(B);\n");
    write("b.rs", "use crate::c::C;\npub struct B(C);\n");
    write("c.rs", "pub struct C;\n");
    assert!(circles(sources.path()).is_empty());
    write("c.rs", "pub struct C(Option<Box<super::a::A>>);\n");
    let circle = ["a", "b", "c"].map(str::to_owned).into();
    assert_eq!(circles(sources.path()), [circle]);
}
