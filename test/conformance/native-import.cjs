/** Node's own `import()`: the test runner replaces the one of modules that it loads itself. */
module.exports = (specifier) => import(specifier);
