# cmake -DOUT=file.cpp -DDIR=goenv/scripts -P embed.cmake
#   Writes the scripts as C++ string constants, without what ten thousand ConfigMaps need not carry:
#   indentation and lines that are only a comment. (So no script may hold a string of several lines
#   with one that starts with a space or #.)
set(text "#include \"goenv/scripts.hpp\"\n\nnamespace gobuildenv::goenv::scripts {\n\n")
foreach(name
    activate activate_compiler activate_old_go
    deactivate
    launcher launcher_compiler launcher_newer launcher_preflight launcher_shared
    preflight
    find_up versions)
  file(READ "${DIR}/${name}.sh" script)
  string(REGEX REPLACE "\n[ ]*#[^\n]*" "" script "${script}")
  string(REGEX REPLACE "\n[ ]+" "\n" script "${script}")
  string(REGEX REPLACE "\n\n+" "\n" script "${script}")
  if(script MATCHES "[)]gbe\"")
    message(FATAL_ERROR "${name}.sh holds the raw string delimiter )gbe\"")
  endif()
  string(APPEND text "const std::string_view k_${name} = R\"gbe(${script})gbe\";\n\n")
endforeach()
string(APPEND text "}  // namespace gobuildenv::goenv::scripts\n")
file(WRITE "${OUT}" "${text}")
