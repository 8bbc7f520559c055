# cmake -DOUT=file.cpp -DDIR=goenv/scripts -P embed.cmake
#   Writes the scripts as C++ string constants. Lines that are only a comment stay here, with whoever
#   changes the scripts; ten thousand ConfigMaps need not carry them.
set(text "#include \"goenv/scripts.hpp\"\n\nnamespace gobuildenv::goenv::scripts {\n\n")
foreach(name activate deactivate launcher preflight versions newer first_build)
  file(READ "${DIR}/${name}.sh" script)
  string(REGEX REPLACE "\n[ ]*#[^\n]*" "" script "${script}")
  string(REGEX REPLACE "\n\n+" "\n" script "${script}")
  if(script MATCHES "[)]gbe\"")
    message(FATAL_ERROR "${name}.sh holds the raw string delimiter )gbe\"")
  endif()
  string(APPEND text "const std::string_view k_${name} = R\"gbe(${script})gbe\";\n\n")
endforeach()
string(APPEND text "}  // namespace gobuildenv::goenv::scripts\n")
file(WRITE "${OUT}" "${text}")
