import assert from "node:assert/strict";

import { dataDirectories } from "../../lib/mysql/server_facts.ts";

const DATADIR = "/var/lib/mysql/";

const CASES: readonly (readonly [
  sentence: string,
  variables: Readonly<Record<string, string>>,
  directories: readonly string[],
])[] = [
  ["MySQL with everything in one place has one directory", {
    datadir: DATADIR,
    innodb_data_home_dir: "",
    innodb_log_group_home_dir: "./",
    innodb_undo_directory: "./",
    log_bin_basename: "/var/lib/mysql/binlog",
    relay_log_basename: "/var/lib/mysql/guest-relay-bin",
  }, ["/var/lib/mysql"]],
  ["MariaDB with everything in one place has one directory", {
    datadir: DATADIR,
    innodb_data_home_dir: "",
    innodb_log_group_home_dir: "./",
    innodb_undo_directory: "./",
    aria_log_dir_path: DATADIR,
    log_bin_basename: "",
    relay_log_basename: "",
  }, ["/var/lib/mysql"]],
  ["every volume of a spread server is named once", {
    datadir: "/data/mysql/",
    innodb_data_home_dir: "/ibdata",
    innodb_log_group_home_dir: "/redo/",
    innodb_undo_directory: "/undo",
    aria_log_dir_path: "/data/aria",
    log_bin_basename: "/var/log/mysql/binlog",
    relay_log_basename: "/var/log/mysql/relay",
  }, ["/data/mysql", "/ibdata", "/redo", "/undo", "/data/aria", "/var/log/mysql"]],
  ["MySQL's double write buffer and further tablespaces count", {
    datadir: DATADIR,
    innodb_doublewrite_dir: "/fast/dblwr",
    innodb_directories: "/space/a;/space/b/;./c",
  }, ["/var/lib/mysql", "/fast/dblwr", "/space/a", "/space/b", "/var/lib/mysql/c"]],
  ["no further tablespaces are none", { datadir: DATADIR, innodb_directories: "" }, [
    "/var/lib/mysql",
  ]],
  ["a relative directory lies in the datadir", {
    datadir: "/data/",
    innodb_log_group_home_dir: "redo",
    innodb_undo_directory: "./undo/",
  }, ["/data", "/data/redo", "/data/undo"]],
  ["a directory above stays as it is written", {
    datadir: "/data/mysql",
    innodb_undo_directory: "../undo",
  }, ["/data/mysql", "/data/mysql/../undo"]],
  ["a hidden directory keeps its dot", { datadir: "/data/.mysql/" }, ["/data/.mysql"]],
  ["slashes and dots that mean nothing are left out", { datadir: "//data/././mysql//." }, [
    "/data/mysql",
  ]],
  ["a binlog without a path lies in the datadir", {
    datadir: DATADIR,
    log_bin_basename: "binlog",
  }, ["/var/lib/mysql"]],
  ["a binlog in the root directory is in the root directory", {
    datadir: DATADIR,
    log_bin_basename: "/binlog",
  }, ["/var/lib/mysql", "/"]],
  ["variables that this server does not have are left out", { datadir: DATADIR }, [
    "/var/lib/mysql",
  ]],
  ["a server that says nothing has none", {}, []],
];

for (const [sentence, variables, directories] of CASES) {
  Deno.test(`data directories: ${sentence}`, () => {
    assert.deepEqual(dataDirectories(new Map(Object.entries(variables))), directories);
  });
}
