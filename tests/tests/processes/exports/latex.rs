//! pdflatex compiles the tables of every command that has `--output latex`.

use std::fs;
use std::path::Path;
use std::process::Command;

use biosweep_analysis::export::{Format, Provenance, Results};
use biosweep_analysis::samples;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::ResultView;
use biosweep_common::settings::Value;
use biosweep_tests::{Home, readers, without_variables};

/// Results on data whose folders have every special character of LaTeX, Greek letters, umlauts, and letters that
/// pdflatex lacks. One begins with what would change the end of a row.
fn results() -> Vec<ResultView> {
    const FOLDERS: [&str; 2] = ["/Größe_α 50 % #1 & ~^ \\x {β} $Ως \"|<>*", "/[ש] ñ – µ×±≤ þ 漢"];
    let mut all = Vec::new();
    for folder in FOLDERS {
        let dataset = Value::Name(format!("idx:{folder}").into());
        for result in samples::paper(3) {
            for (place, rate) in [0.001, 0.01].into_iter().enumerate() {
                let settings = [("dataset", dataset.clone()), ("learning_rate", Value::Real(rate))];
                let mut result = samples::with(result.clone(), &settings);
                if let Some(score) = &mut result.score {
                    score.test_accuracy -= 0.01 * place as f64;
                    score.validation_accuracy -= 0.01 * place as f64;
                }
                all.push(result);
            }
        }
    }
    let lists = [vec![1, 3], vec![2]].map(|list| ("downsample_after", Value::Integers(list)));
    all.extend(lists.map(|list| samples::with(samples::completed("bp", "convnet", 6, 0.5, 0.5), &[list])));
    all.push(samples::ended("dtp", "nn", 1, TrialStatus::Diverged));
    // Each trial has a key of its own.
    for (number, result) in (0_u64..).zip(&mut all) {
        result.key.0[..8].copy_from_slice(&number.to_le_bytes());
        result.trial.0 = number;
    }
    all
}

fn exported(home: &Home) -> String {
    let path = home.path().join("α_results.jsonl");
    let sweep = samples::sweep("α");
    let provenance = Provenance { sweep: &sweep, spec: None, version: "1.2.3" };
    let mut export =
        Results::new(Format::Jsonl, &provenance, fs::File::create(&path).expect("a file")).expect("a disk");
    results().iter().for_each(|result| export.write(result).expect("a disk"));
    export.finish().expect("a disk");
    path.to_string_lossy().into_owned()
}

/// Compiles an article with these tables and returns the log of pdflatex.
fn compiled(pdflatex: &Path, folder: &Path, tables: &[(&str, String)]) -> String {
    // The page is so wide that every table fits on it.
    let mut article = "\\documentclass{article}\n\\usepackage[paperwidth=60in,paperheight=30in]{geometry}\n\
                       \\usepackage{booktabs}\n\\setlength{\\parindent}{0pt}\n\\begin{document}\n"
        .to_owned();
    for (name, table) in tables {
        fs::write(folder.join(format!("{name}.tex")), table).expect("a disk");
        article += &format!("\\input{{{name}}}\n\n\\bigskip\n");
    }
    article += "\\end{document}\n";
    fs::write(folder.join("article.tex"), article).expect("a disk");
    let mut command = Command::new(pdflatex);
    command.args(["-halt-on-error", "-interaction=nonstopmode", "article.tex"]).current_dir(folder);
    without_variables(&mut command);
    let output = command.output().expect("pdflatex starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(folder.join("article.pdf").is_file(), "{}", String::from_utf8_lossy(&output.stdout));
    // Some warnings are in the file alone.
    String::from_utf8_lossy(&fs::read(folder.join("article.log")).expect("a log")).into_owned()
}

fn assert_no_warnings(log: &str) {
    for warning in ["Overfull", "undefined", "Undefined", "LaTeX Warning", "Missing character"] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(warning)).collect();
        assert!(lines.is_empty(), "{lines:?} in\n{log}");
    }
}

#[test]
fn every_table_of_an_analysis_compiles() {
    let Some(pdflatex) = readers::pdflatex() else { return };
    let home = Home::default();
    let file = exported(&home);
    let commands: [(&str, &[&str]); 5] = [
        ("best", &["best"]),
        ("best-by-list", &["best", "--by", "downsample_after,dataset"]),
        ("compare", &["compare"]),
        ("sensitivity", &["sensitivity"]),
        ("importance", &["importance"]),
    ];
    let table = |(name, command): (&'static str, &[&str])| {
        (name, home.answer(&[command, &["--from", &file, "--output", "latex"]].concat()))
    };
    let tables: Vec<(&str, String)> = commands.into_iter().map(table).collect();
    assert!(tables[0].1.contains("Größe\\_$\\alpha$ 50 \\% \\#1 \\&"), "{}", tables[0].1);
    assert_no_warnings(&compiled(&pdflatex, home.path(), &tables));
}

#[test]
fn the_tables_of_means_compile() {
    let Some(pdflatex) = readers::pdflatex() else { return };
    let home = Home::default();
    let spec = home.spec(
        "name = \"ω_50%\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nhidden = 16\neval_every = 20\nmax_updates = 40\n\
         [grid]\nrule = [\"bp\", \"fa\"]\nnetwork = [\"nn\", \"dn\"]\ndepth = [2, 3]\nlearning_rate = [0.001, 0.01]\nfold = [0, 1]\n",
    );
    let run = home.run(&["run", &spec.to_string_lossy(), "--workers", "1"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let table = |name: &'static str| (name, home.answer(&[name, "ω_50%", "--output", "latex"]));
    let tables = [table("results"), table("best"), table("sensitivity"), table("importance")];
    assert_eq!(tables[0].1.matches("\\toprule").count(), 2, "means and chosen settings: {}", tables[0].1);
    assert_no_warnings(&compiled(&pdflatex, home.path(), &tables));
}
