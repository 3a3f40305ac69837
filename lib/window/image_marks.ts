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

/** Where InnoDB was with the numbers of its transactions, read under the lock. */
export interface TransactionMark {
  /** The number that the next one gets. */
  readonly next_id: number;
  /** Transactions that had changed rows and were not committed: recovery undoes them, and each takes a number. */
  readonly open: number;
  /** `max_connections`: so many clients may have begun one since, where the method lets them. */
  readonly clients_most: number;
}

/** The marks of one server; each is null where it could not be asked, or the account may not see it. */
export interface ImageMarks {
  /** The newest of them, oldest first; empty without a binlog. */
  readonly closed_binlogs: readonly ClosedBinlog[] | null;
  readonly databases: readonly DatabaseTables[] | null;
  /** When `mysql.db` was made, RFC 3339: an identity in the data, where there is no server_uuid. */
  readonly system_tables_made_at: string | null;
}
