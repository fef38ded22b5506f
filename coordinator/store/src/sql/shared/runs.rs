//! The trajectories that are done, as merged ranges. A start reads these in place of one row per trajectory.

use std::collections::BTreeSet;

use super::Connection;

/// Adds trajectories to the ranges of a sweep, and merges adjacent ranges. The caller has checked that none was there.
pub(super) async fn add(
    connection: &mut Connection,
    sweep: i64,
    trajectories: &BTreeSet<i64>,
) -> Result<(), sqlx::Error> {
    for (first, count) in merged(trajectories.iter().copied()) {
        let end = first + count;
        let before: Option<(i64, i64)> = sqlx::query_as(
            "SELECT first, count FROM done_runs WHERE sweep = $1 AND first < $2 ORDER BY first DESC LIMIT 1",
        )
        .bind(sweep)
        .bind(first)
        .fetch_optional(&mut *connection)
        .await?
        .filter(|&(start, count)| start + count == first);
        // Removes the range that starts where this one ends, and adds it to this one.
        let after: Option<(i64,)> =
            sqlx::query_as("DELETE FROM done_runs WHERE sweep = $1 AND first = $2 RETURNING count")
                .bind(sweep)
                .bind(end)
                .fetch_optional(&mut *connection)
                .await?;
        let count = count + after.map_or(0, |(count,)| count);
        let query = match before {
            Some((start, _)) => sqlx::query("UPDATE done_runs SET count = count + $1 WHERE sweep = $2 AND first = $3")
                .bind(count)
                .bind(sweep)
                .bind(start),
            None => sqlx::query("INSERT INTO done_runs (count, sweep, first) VALUES ($1, $2, $3)")
                .bind(count)
                .bind(sweep)
                .bind(first),
        };
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Removes a trajectory from the ranges of a sweep, and returns whether it was there.
pub(super) async fn remove(connection: &mut Connection, sweep: i64, trajectory: i64) -> Result<bool, sqlx::Error> {
    let run: Option<(i64, i64)> = sqlx::query_as(
        "SELECT first, count FROM done_runs WHERE sweep = $1 AND first <= $2 ORDER BY first DESC LIMIT 1",
    )
    .bind(sweep)
    .bind(trajectory)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((first, count)) = run.filter(|&(first, count)| trajectory < first + count) else { return Ok(false) };
    let taken = sqlx::query("DELETE FROM done_runs WHERE sweep = $1 AND first = $2").bind(sweep).bind(first);
    taken.execute(&mut *connection).await?;
    let (before, behind) = ((first, trajectory - first), (trajectory + 1, first + count - trajectory - 1));
    for (first, count) in [before, behind].into_iter().filter(|&(_, count)| count > 0) {
        let rest = sqlx::query("INSERT INTO done_runs (count, sweep, first) VALUES ($1, $2, $3)");
        rest.bind(count).bind(sweep).bind(first).execute(&mut *connection).await?;
    }
    Ok(true)
}

/// Ascending numbers as disjoint ranges (first, count); adjacent ones are merged.
fn merged(numbers: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == number => *count += 1,
            _ => runs.push((number, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_adjacent_ranges_are_merged() {
        assert_eq!(merged([].into_iter()), []);
        assert_eq!(merged([0, 1, 2, 4, 7, 8].into_iter()), [(0, 3), (4, 1), (7, 2)]);
    }
}
