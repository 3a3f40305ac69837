/** What a server's image is known by besides its coordinates; read shortly before the lock. */

/** A binlog file that was closed by then: nothing is written to it any more. */
export interface ClosedBinlog {
  readonly name: string;
  readonly bytes: number;
}

/** How many tables a database had, as the account saw them. */
export interface DatabaseTables {
  readonly name: string;
  readonly tables: number;
  /** How many of them are of engines without transactions. */
  readonly without_transactions: number;
}

/** The marks of one server; each is null where it could not be asked, or the account may not see it. */
export interface ImageMarks {
  /** The newest of them, oldest first; empty without a binlog. */
  readonly closed_binlogs: readonly ClosedBinlog[] | null;
  readonly databases: readonly DatabaseTables[] | null;
  /** When `mysql.db` was made, RFC 3339: an identity in the data, where there is no server_uuid. */
  readonly system_tables_made_at: string | null;
}
