//! The analysis plan: the margin of equivalence, and the planned contrasts.

use super::*;
use crate::vocabulary::Quantity;

const GRID: &str = "name = \"p\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = [\"fa\", \"pc\"]\ndepth = [3, 10]\n\
                    learning_rate = [1e-4, 1e-3]\nexclude = [{ rule = \"pc\", depth = 10 }]\n\
                    [[block]]\nnetwork = [\"nn\", \"dn\"]\n[[block]]\nnetwork = \"nn\"\nparameters_as = \"dn\"\n";

/// The contrasts of a spec with these lines, or its errors without their line and column.
fn planned(lines: &str) -> Result<Vec<PlannedContrast>, Vec<String>> {
    let error = |error: &SpecError| format!("{}: {}; {}", error.place, error.message, error.help);
    toml(&format!("{GRID}{lines}"))
        .map(|spec| spec.analysis.contrasts)
        .map_err(|errors| errors.errors.iter().map(error).collect())
}

#[test]
fn the_margin_is_a_fraction_above_0_and_below_1() {
    assert_eq!(good(GOOD).analysis, AnalysisPlan::default());
    assert_eq!(good(&format!("equivalence_margin = 0.02\n{GOOD}")).analysis.equivalence_margin, 0.02);
    let errors = toml(&format!("equivalence_margin = 1\n{GOOD}")).expect_err("no fraction").to_string();
    assert!(
        errors.contains(
            "1:22: equivalence_margin: `equivalence_margin` cannot be the whole number 1; it takes a fraction of"
        ),
        "{errors}"
    );
}

#[test]
fn a_planned_contrast_has_two_arms_and_what_they_share() {
    let contrasts = planned(
        "[[contrast]]\nquestion = \" Is it size? \"\narms = [{ network = \"nn\", parameters_as = \"dn\" }, { network = \"dn\" }]\n\
         where = { rule = \"fa\", depth = 10 }\n[[contrast]]\nquantity = \"slope\"\n\
         arms = [{ network = \"nn\" }, { network = \"dn\" }]\nwhere = { rule = \"fa\" }\n",
    );
    let contrasts = contrasts.expect("a good plan");
    let [size, slope] = contrasts.as_slice() else { panic!("two contrasts") };
    assert_eq!((size.question.as_deref(), size.quantity), (Some("Is it size?"), Quantity::Accuracy));
    assert_eq!(size.arms[0][&Setting::ParametersAs], Value::Name("dn".into()));
    assert_eq!(size.whole_arms()[1].len(), 3);
    assert_eq!((slope.question.as_deref(), slope.quantity), (None, Quantity::Slope));
}

#[test]
fn the_plan_does_not_change_the_identity_of_a_sweep() {
    let contrast = "[[contrast]]\narms = [{ rule = \"bp\" }, { rule = \"dtp\" }]\nwhere = { depth = 2 }\n";
    let with = good(&format!("equivalence_margin = 0.5\n{GOOD}{contrast}"));
    assert_eq!((with.analysis.contrasts.len(), with.digest()), (1, good(GOOD).digest()));
    let same = good(GOOD).extended(&with).expect_err("the plan of a sweep stays").to_string();
    assert!(same.contains("equivalence_margin = 0.5, but the sweep has 0.01"), "{same}");
    let more = good(&format!("{GOOD}{contrast}"));
    let error = good(GOOD).extended(&more).expect_err("the plan of a sweep stays").to_string();
    assert!(error.contains("contrast = 1 planned contrasts, but the sweep has 0 planned contrasts"), "{error}");
    assert_eq!(more.extended(&good(GOOD)).map(|both| both.analysis), Ok(more.analysis));
}

#[test]
fn an_error_in_a_contrast_says_what_to_do() {
    let nn = "{ network = \"nn\" }";
    for (lines, expected) in [
        ("contrast = 3", "contrast: the planned contrasts are a list of tables; start each with a line [[contrast]]"),
        ("[[contrast]]", "contrast[0]: the contrast has no arms; write for example arms = [{ network = \"nn\" }, "),
        ("[[contrast]]\narms = [{ rule = \"fa\" }]", "contrast[0].arms: a contrast has two arms, but here are 1; "),
        (
            "[[contrast]]\narms = [\"nn\", \"dn\"]",
            "contrast[0].arms[0]: `contrast[0].arms[0]` cannot be the text \"nn\"; it is a",
        ),
        (
            "[[contrast]]\nwho = 1\narms = [NN, NN]",
            "contrast[0].who: unknown key `who`; known here: question, quantity, arms, where",
        ),
        (
            "[[contrast]]\narms = [NN, { network = \"residual\" }]\nwhere = { rule = \"fa\", depth = 3 }",
            "contrast[0].arms[1]: no trial has network = residual, rule = fa, depth = 3; change the arm or `where`, or add the \
             trials to [grid]",
        ),
        (
            "[[contrast]]\narms = [{ rule = \"pc\" }, { rule = \"fa\" }]\nwhere = { network = \"nn\", depth = 10 }",
            "contrast[0].arms[0]: no trial has network = nn, rule = pc, depth = 10",
        ),
        (
            "[[contrast]]\narms = [NN, { network = \"dn\", parameters_as = \"dn\" }]\nwhere = { rule = \"fa\", depth = 3 }",
            "contrast[0].arms[1]: no trial has network = dn, rule = fa, depth = 3, parameters_as = dn",
        ),
        (
            "[[contrast]]\narms = [NN, { network = \"dn\" }]\nwhere = { rule = \"fa\" }",
            "contrast[0].arms[0]: the trials of this arm differ in `depth`: 3, 10; add `depth` to the arm or to `where`, or \
             compare slopes: quantity = \"slope\"",
        ),
        (
            "[[contrast]]\narms = [NN, { network = \"dn\" }]\nwhere = { depth = 3 }",
            "contrast[0].arms[0]: the trials of this arm differ in `rule`: fa, pc; add `rule` to the arm or to `where`",
        ),
        (
            "[[contrast]]\nquantity = \"slope\"\narms = [NN, { network = \"dn\" }]\nwhere = { rule = \"pc\" }",
            "contrast[0].arms[0]: a slope needs several depths, but this arm has 3; add depths to [grid]",
        ),
        (
            "[[contrast]]\narms = [NN, { network = \"dn\", rule = \"fa\" }]\nwhere = { rule = \"fa\", depth = 3 }",
            "contrast[0].arms[1]: `rule` is set twice, here and in `where`; remove it from one of them",
        ),
        (
            "[[contrast]]\narms = [{ fold = 0 }, { fold = 1 }]",
            "contrast[0].arms[0].fold: `fold` makes replicates, over which arms are paired; remove it",
        ),
        (
            "[[contrast]]\narms = [NN, NN]\nwhere = { rule = \"fa\", depth = 3 }",
            "contrast[0].arms: both arms have the same trials, or some of them; name a setting in both arms",
        ),
        (
            "[[contrast]]\nquantity = \"angle\"\narms = [NN, NN]",
            "contrast[0].quantity: `quantity` cannot be the text \"angle\"; it takes accuracy or slope",
        ),
        (
            "[[contrast]]\nquestion = \"a\\nb\"\narms = [NN, NN]",
            "contrast[0].question: `question` cannot be the text \"a\\nb\"; it takes a text of 1",
        ),
    ] {
        let lines = lines.replace("NN", nn);
        // A key at the end of a spec belongs to its last table.
        let errors = match lines.starts_with("contrast") {
            true => toml(&format!("{lines}\n{GRID}")).map(|_| ()).expect_err("an error").to_string(),
            false => planned(&lines).expect_err("an error").join("\n"),
        };
        assert!(errors.contains(expected), "{lines}:\n{errors}\nexpected: {expected}");
    }
    for (lines, expected) in [
        (
            "[[contrast]]\narms = [{ rule = \"fa\" }, { rule = \"fa\", learning_rate = 1e-3 }]\nwhere = { network = \"dn\", depth = 3 }",
            "both arms have the same trials, or some of them; name a setting in both arms",
        ),
        (
            "[[contrast]]\nquantity = \"slope\"\narms = [NN, { network = \"dn\" }]\nwhere = { rule = \"fa\", depth = 3 }",
            "a slope needs several depths, but this arm has 3; remove `depth` from the arm or from `where`",
        ),
    ] {
        let errors = planned(&lines.replace("NN", nn)).expect_err("an error").join("\n");
        assert!(errors.contains(expected), "{errors}");
    }
    let apart = |lines: &str| {
        let text = "name = \"a\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"fa\"\n[[block]]\nnetwork = \"nn\"\ndepth = [3, 10]\n\
                    fold = 0\n[[block]]\nnetwork = \"dn\"\n";
        let contrast = "[[contrast]]\nquantity = \"slope\"\narms = [{ network = \"nn\" }, { network = \"dn\" }]\n";
        toml(&format!("{text}{lines}\n{contrast}")).map(|_| ()).map_err(|errors| errors.to_string())
    };
    assert!(apart("depth = [3, 10]\nfold = 1").expect_err("other folds").contains("have no fold in common"));
    assert!(apart("depth = [3, 20]\nfold = 0").expect_err("other depths").contains("two depths that both arms have"));
    apart("depth = [3, 10]\nfold = 0").expect("pairs");
    let twice =
        "[[contrast]]\narms = [{ network = \"nn\" }, { network = \"dn\" }]\nwhere = { rule = \"fa\", depth = 3 }\n";
    let errors = planned(&twice.repeat(2)).expect_err("the same contrast");
    assert_eq!(errors, ["contrast[1]: it has the same arms as contrast[0]; remove one of them"]);
    let turned =
        twice.replace("{ network = \"nn\" }, { network = \"dn\" }", "{ network = \"dn\" }, { network = \"nn\" }");
    let errors = planned(&format!("{twice}{turned}")).expect_err("the same contrast, turned round");
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn every_error_of_a_contrast_is_shown_once() {
    let errors = planned(
        "[[contrast]]\nquestion = 3\nquantity = \"angle\"\narms = [{ network = \"nn\", x = 1 }, { rule = \"fb\" }]\n\
         where = { depth = 4 }\n",
    );
    let errors = errors.expect_err("five errors");
    let places: Vec<&str> = errors.iter().map(|error| error.split(": ").next().expect("a place")).collect();
    let expected =
        ["question", "quantity", "arms[0].x", "arms[1].rule", "where"].map(|part| format!("contrast[0].{part}"));
    assert_eq!(places, expected, "{errors:?}");
    assert!(
        errors[4].ends_with("no trial has depth = 4; change `where`, or add the trials to [grid]"),
        "{}",
        errors[4]
    );
    let one =
        "[[contrast]]\narms = [{ network = \"nn\" }, { network = \"dn\" }]\nwhere = { rule = \"fa\", depth = 3 }\n";
    let errors = planned(&one.repeat(101)).expect_err("too many");
    assert!(
        errors.len() == 1 && errors[0].starts_with("contrast[100]: 101 planned contrasts are too many"),
        "{errors:?}"
    );
}

#[test]
fn a_contrast_knows_its_pairs() {
    let pairs = |nn: &str, dn: &str| {
        let text = format!(
            "name = \"a\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"fa\"\ndepth = 3\n[[block]]\nnetwork = \"nn\"\n{nn}\n\
             [[block]]\nnetwork = \"dn\"\n{dn}\n[[contrast]]\narms = [{{ network = \"nn\" }}, {{ network = \"dn\" }}]\n"
        );
        let spec = toml(&text).expect("a good spec");
        spec.analysis.contrasts[0].pairs(&spec.grid)
    };
    assert_eq!(pairs("fold = { from = 1, to = 8 }", "fold = [3, 5, 9]"), 2);
    assert_eq!(pairs("seed = [1, 2, 3]", "seed = [1, 2, 3, 4]"), 3, "of the only fold");
    assert_eq!(pairs("fold = 0\nseed = [1, 2, 3]", "fold = [0, 1]\nseed = [1, 2]"), 2);
}
