-- Who signed up before the credits came has an account from now on.
do $$
declare
  v_user_id uuid;
begin
  for v_user_id in select u.id from auth.users u order by u.id loop
    perform credits.open_account(v_user_id, 'person');
  end loop;
end
$$;
