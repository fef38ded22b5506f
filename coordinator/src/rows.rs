//! The rows of an export, written as they arrive, because all rows may need more memory than there is.

use std::io::{self, Write};

use biosweep_analysis::export::{self, Format, Provenance};
use biosweep_common::names;
use biosweep_common::results::views::{CurveView, SpecView, SweepView};

use crate::client::{Client, ClientError};
use crate::terminal::say;

names! {
    /// The rows of an export.
    What("rows") {
        /// The results, one row per trial.
        Results = "results",
        /// The learning curves, one row per evaluation.
        Curves = "curves",
        /// The layer diagnostics, one row per value.
        Diagnostics = "diagnostics",
    }
}

/// A sweep with its spec.
pub(crate) struct Origin {
    /// The sweep.
    pub(crate) sweep: SweepView,
    spec: SpecView,
}

impl Origin {
    /// The sweep with this name or id.
    pub(crate) async fn of(name: &str, client: &mut Client) -> Result<Self, ClientError> {
        let sweep = client.show(name).await?.sweep;
        let spec = client.spec(&sweep.id.to_string()).await?;
        Ok(Self { sweep, spec })
    }

    fn provenance(&self) -> Provenance<'_> {
        Provenance { sweep: &self.sweep, spec: Some(&self.spec), version: env!("CARGO_PKG_VERSION") }
    }
}

/// Writes the rows of a sweep; returns their number. The inner error is that of `out`.
pub(crate) async fn write(
    what: What,
    format: Format,
    origin: &Origin,
    client: &mut Client,
    out: impl Write + Send,
) -> Result<io::Result<u64>, ClientError> {
    match what {
        What::Results => results(format, origin, client, out).await,
        What::Curves => curves(format, origin, client, out).await,
        What::Diagnostics => diagnostics(format, origin, client, out).await,
    }
}

async fn results(
    format: Format,
    origin: &Origin,
    client: &mut Client,
    out: impl Write + Send,
) -> Result<io::Result<u64>, ClientError> {
    let mut export = match export::Results::new(format, &origin.provenance(), out) {
        Ok(export) => export,
        Err(error) => return Ok(Err(error)),
    };
    let mut pages = client.each_result(&origin.sweep.id.to_string()).await?;
    let (mut written, mut rows) = (Ok(()), 0);
    while written.is_ok()
        && let Some(page) = pages.next().await?
    {
        rows += page.len() as u64;
        written = page.iter().try_for_each(|result| export.write(result));
    }
    Ok(written.and_then(|()| export.finish()).map(|()| rows))
}

async fn curves(
    format: Format,
    origin: &Origin,
    client: &mut Client,
    out: impl Write + Send,
) -> Result<io::Result<u64>, ClientError> {
    let mut export = match export::Curves::new(format, &origin.provenance(), out) {
        Ok(export) => export,
        Err(error) => return Ok(Err(error)),
    };
    let mut rows = 0;
    let written = each_curve(&origin.sweep, client, |curve| {
        rows += curve.points.len() as u64;
        export.write(curve)
    });
    Ok(written.await?.and_then(|()| export.finish()).map(|()| rows))
}

async fn diagnostics(
    format: Format,
    origin: &Origin,
    client: &mut Client,
    out: impl Write + Send,
) -> Result<io::Result<u64>, ClientError> {
    let mut export = match export::Diagnostics::new(format, &origin.provenance(), out) {
        Ok(export) => export,
        Err(error) => return Ok(Err(error)),
    };
    let mut rows = 0;
    let written = each_curve(&origin.sweep, client, |curve| {
        rows += curve.diagnostics.len() as u64;
        export.write(curve)
    });
    let written = written.await?.and_then(|()| export.finish());
    if rows == 0 {
        let message = format!("sweep `{}` has no layer diagnostics so far", origin.sweep.name);
        say(format_args!("{message}; turn them on in a spec with a line such as measure = [\"update_angle\"]"));
    }
    Ok(written.map(|()| rows))
}

/// Passes on the curves of a sweep as they arrive, until an error.
pub(crate) async fn each_curve(
    sweep: &SweepView,
    client: &mut Client,
    mut write: impl FnMut(&CurveView) -> io::Result<()>,
) -> Result<io::Result<()>, ClientError> {
    let mut curves = client.each_curve(&sweep.id.to_string()).await?;
    let mut written = Ok(());
    while written.is_ok()
        && let Some(curve) = curves.next().await?
    {
        written = write(&curve);
    }
    Ok(written)
}
