-- What is there now is what `sonas doctor` expects from here on.
select credits.remember_installation();
