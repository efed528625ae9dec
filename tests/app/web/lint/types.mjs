/** Type errors of the page's own scripts; what is in app/web/vendor is read for its types, but not ours to mend. */

import ts from "typescript";

const { config } = ts.readConfigFile(`${import.meta.dirname}/tsconfig.json`, ts.sys.readFile);
const { fileNames, options, errors } = ts.parseJsonConfigFileContent(config, ts.sys, import.meta.dirname);
const program = ts.createProgram(fileNames, options);
const found = [...errors, ...ts.getPreEmitDiagnostics(program)].filter(
  ({ file }) => !file?.fileName.includes("/vendor/"),
);
ts.sys.write(ts.formatDiagnostics(found, ts.createCompilerHost(options)));
ts.sys.exit(found.length ? 1 : 0);
