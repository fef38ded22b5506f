//! Throwaway probes.
use super::*;
fn show(text: &str, format: Format) {
    match SweepSpec::parse(text, format, "s") {
        Ok(s) => eprintln!("OK {} trials {}", s.grid.trials(), s.grid.trajectories()),
        Err(e) => eprintln!("ERR {e} SPANS {:?}", e.errors.iter().map(|x| x.span.clone()).collect::<Vec<_>>()),
    }
    eprintln!("----");
}
#[test]
fn probe() {
    let j = "{\n\t\"name\": \"x\",\n\t\"data\": {\"dataset\":\"mnist\"},\n\t\"grid\": {\n\t\t\"rule\":\"bp\",\n\t\t\"network\":\"nn\",\"depth\"\n:[1,\n2]}}";
    show(j, Format::Json);
    show(
        "{\"name\": \"\\ud83d\\ude00\", \"data\": {\"dataset\":\"mnist\"}, \"grid\": {\"rule\":\"bp\",\"network\":\"nn\",\"depth\":1}}",
        Format::Json,
    );
    show("{\"name\": é}", Format::Json);
    show("{\"name\": \"a\", \"name\": \"b\"}", Format::Json);
    show("name: a\nname: b\n", Format::Yaml);
    show("name = \"a\"\nname = \"b\"\n[grid]\ndepth = \n", Format::Toml);
    show(
        "name: x\ndata: {dataset: mnist}\ngrid:\n  rule: bp\n  network: nn\n  depth: 1\n  learning_rate: 1e-3\n  max_updates: 1_000\n",
        Format::Yaml,
    );
    show(
        "name: x\ndata: {dataset: mnist}\ngrid:\n  rule: bp\n  network: nn\n  depth: 1\n  learning_rate: [1e-3, .inf, 1.0e-2]\n  max_updates: 1e3\n",
        Format::Yaml,
    );
    show("", Format::Yaml);
    show("", Format::Json);
    show("", Format::Toml);
    let base = "name = \"g\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n";
    show(
        &format!(
            "{base}early_stop_start = [1,2]\nmax_updates = [10,20]\nexclude = [{{early_stop_start = 1, max_updates = 10}}]\n"
        ),
        Format::Toml,
    );
    show(&format!("seed = 1\n{base}[train]\nseed = 2\n"), Format::Toml);
    show(
        &format!("{base}max_updates = [1, 1]\nlearning_rate=[1,1]\n[[block]]\nseed = 1\n[[block]]\nseed=2\n"),
        Format::Toml,
    );
    show(
        &format!("{base}[[block]]\nnetwork = \"q\"\n\n[[block]]\nseed=0\n\n[[block]]\nseed=0\nbatch_size = 128\n"),
        Format::Toml,
    );
    eprintln!(
        "{:?}",
        toml::de::DeTable::parse_recoverable(
            "name = \"a\"\nname = \"b\"\n[grid\ndepth = \nx = 1 2\n[data]\ndataset = mnist\n"
        )
        .1
        .iter()
        .map(|e| (e.message().to_owned(), e.span()))
        .collect::<Vec<_>>()
    );
}
