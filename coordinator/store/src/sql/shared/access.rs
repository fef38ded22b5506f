//! Tokens and enrolled workers: changes to rows, and rows to what a coordinator knows.

use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::rows::{EnrolledWorker, TokenInfo, TokenRow};
use biosweep_common::vocabulary::access::token::{Fingerprint, TokenId};
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::vocabulary::time::WallTime;
use biosweep_scheduler::record::{AccessChange, AccessRows};

use super::cells::{Cells, all};
use super::write::Writer;
use super::{Connection, DbRow};
use crate::StoreError;

impl Writer<'_> {
    pub(super) async fn access(&mut self, change: &AccessChange) -> Result<(), StoreError> {
        match change {
            AccessChange::TokenCreated(row) => self.token_created(row).await,
            AccessChange::TokenRevoked { id, at } => self.token_revoked(*id, *at).await,
            AccessChange::Enrolled(row) => self.enrolled(row).await,
            AccessChange::Renewed { worker, at } => {
                let query = sqlx::query("UPDATE enrolled_workers SET enrolled_at = $1 WHERE worker = $2");
                let query = query.bind(self.whole(at.0)?).bind(worker.0.into_bytes().to_vec());
                self.execute(query, || format!("certificate of worker {worker}")).await
            }
            AccessChange::Forgotten { before } => {
                let query = sqlx::query("DELETE FROM enrolled_workers WHERE revoked_at IS NULL AND enrolled_at < $1");
                let query = query.bind(self.whole(before.0)?);
                self.execute(query, || "workers without a certificate".to_owned()).await
            }
            AccessChange::WorkerRevoked { worker, at } => {
                let query =
                    sqlx::query("UPDATE enrolled_workers SET revoked_at = $1 WHERE worker = $2 AND revoked_at IS NULL");
                let query = query.bind(self.whole(at.0)?).bind(worker.0.into_bytes().to_vec());
                self.execute(query, || format!("revocation of worker {worker}")).await
            }
        }
    }

    async fn token_created(&mut self, TokenRow { info, secret_digest }: &TokenRow) -> Result<(), StoreError> {
        let expires_at = info.expires_at.map(|at| self.whole(at.0)).transpose()?;
        let query = sqlx::query(
            "INSERT INTO tokens (id, secret_digest, role, label, creator, created_at, expires_at, uses_left) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(info.id.0.to_vec())
        .bind(secret_digest.to_vec())
        .bind(info.role.name())
        .bind(info.label.clone())
        .bind(info.creator.clone())
        .bind(self.whole(info.created_at.0)?)
        .bind(expires_at)
        .bind(info.uses_left.map(i64::from));
        self.execute(query, || format!("token {}", info.id)).await
    }

    async fn token_revoked(&mut self, id: TokenId, at: WallTime) -> Result<(), StoreError> {
        for revoking in [
            "UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
            "UPDATE enrolled_workers SET revoked_at = $1 WHERE token = $2 AND revoked_at IS NULL",
        ] {
            let query = sqlx::query(revoking).bind(self.whole(at.0)?).bind(id.0.to_vec());
            self.execute(query, || format!("revocation of token {id}")).await?;
        }
        Ok(())
    }

    async fn enrolled(&mut self, row: &EnrolledWorker) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE tokens SET uses_left = uses_left - 1 WHERE id = $1").bind(row.token.0.to_vec());
        self.execute(query, || format!("use of token {}", row.token)).await?;
        let query = sqlx::query(
            "INSERT INTO enrolled_workers (worker, key, token, enrolled_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (worker) DO UPDATE SET token = excluded.token, enrolled_at = excluded.enrolled_at",
        )
        .bind(row.worker.0.into_bytes().to_vec())
        .bind(row.key.0.to_vec())
        .bind(row.token.0.to_vec())
        .bind(self.whole(row.enrolled_at.0)?);
        self.execute(query, || format!("enrolment of worker {}", row.worker)).await
    }
}

/// All tokens and enrolled workers.
pub(super) async fn rows(connection: &mut Connection, place: &str) -> Result<AccessRows, StoreError> {
    let tokens = sqlx::query(
        "SELECT id, secret_digest, role, label, creator, created_at, expires_at, uses_left, revoked_at FROM tokens \
         ORDER BY created_at, id",
    );
    let tokens = all(connection, place, tokens).await?;
    let workers =
        sqlx::query("SELECT worker, key, token, enrolled_at, revoked_at FROM enrolled_workers ORDER BY worker");
    let workers = all(connection, place, workers).await?;
    Ok(AccessRows {
        tokens: tokens.iter().map(|row| token(row, place)).collect::<Result<_, _>>()?,
        workers: workers.iter().map(|row| worker(row, place)).collect::<Result<_, _>>()?,
    })
}

fn token(row: &DbRow, place: &str) -> Result<TokenRow, StoreError> {
    let cells = Cells { row, place };
    let info = TokenInfo {
        id: TokenId(cells.bytes("id")?),
        role: cells.named("role", |name| name.parse::<Role>().ok())?,
        label: cells.get("label")?,
        creator: cells.get("creator")?,
        created_at: WallTime(cells.count("created_at")?),
        expires_at: cells.count_or_null("expires_at")?.map(WallTime),
        uses_left: cells.count_or_null("uses_left")?.map(|uses| u32::try_from(uses).unwrap_or(u32::MAX)),
        revoked_at: cells.count_or_null("revoked_at")?.map(WallTime),
    };
    Ok(TokenRow { info, secret_digest: cells.bytes("secret_digest")? })
}

fn worker(row: &DbRow, place: &str) -> Result<EnrolledWorker, StoreError> {
    let cells = Cells { row, place };
    Ok(EnrolledWorker {
        worker: WorkerId(cells.uuid("worker")?),
        key: Fingerprint(cells.bytes("key")?),
        token: TokenId(cells.bytes("token")?),
        enrolled_at: WallTime(cells.count("enrolled_at")?),
        revoked_at: cells.count_or_null("revoked_at")?.map(WallTime),
    })
}
