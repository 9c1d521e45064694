//! Rows of anyone's held against real ones.

use super::{Codec, PointModel, draw, judge, points};
use crate::data::PointTable;
use crate::error::{Error, Result};
use crate::judge::{Panel, Split};
use crate::train::{EvaluateRequest, Evaluation, Judged, SampleId};

/// Judges rows by the columns of the real ones.
///
/// # Errors
/// [`Error::Data`] if the columns are not the same, or there are too few rows.
pub fn evaluate(request: &EvaluateRequest<'_>, _: &mut dyn FnMut(u64, u64)) -> Result<Evaluation> {
    let table = points(request.against)?;
    let rows = match request.judged {
        Judged::Model(folder) => {
            let model = PointModel::open(folder, &request.device)?;
            same_columns(&folder.path().display().to_string(), &model.codec.columns, table)?;
            let ids: Vec<SampleId> = (0..Panel::MOST as u64).map(|index| SampleId { seed: request.seed, index }).collect();
            draw(&model.net, &model.codec, &ids, 1.0, &model.device)
        }
        Judged::Samples(source) => {
            let samples = points(source)?;
            same_columns(&samples.name, &samples.columns, table)?;
            samples.values.clone()
        }
    };
    let codec = Codec::fit(table);
    let split = Split::new(table.n_rows(), request.holdout);
    let judge = judge(&codec.encode(&table.values), table.dim(), &split, rows.len() / table.dim())?;
    let judgement = judge.panel.judge(&judge.look(&codec.encode(&rows), None)?)?;
    Ok(Evaluation { judgement, classes: Vec::new(), parts: Vec::new(), attributes: Vec::new(), closest: None })
}

fn same_columns(name: &str, columns: &[String], table: &PointTable) -> Result<()> {
    if columns == table.columns {
        return Ok(());
    }
    let problem = format!("has the columns {} where {} has {}", columns.join(", "), table.name, table.columns.join(", "));
    Err(Error::data(name, problem, "give both the same columns in the same order"))
}
