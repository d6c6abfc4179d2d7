-- What is there now is what `sonas doctor` expects from here on. A later migration ends with the same statement.
select credits.remember_installation();
