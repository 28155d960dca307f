<?xml version='1.0'?>
<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
<!-- From DocBook to manual pages: docbook-xsl's stylesheet with the settings of this project. The address is looked up in
     the XML catalog of the machine (package docbook-xsl); nothing is fetched. -->
<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">
  <xsl:import href="http://docbook.sourceforge.net/release/xsl/current/manpages/docbook.xsl"/>

  <xsl:param name="arbiter.version"/>

  <xsl:param name="man.output.quietly" select="1"/>
  <xsl:param name="refentry.meta.get.quietly" select="1"/>
  <xsl:param name="funcsynopsis.style" select="'ansi'"/>
  <xsl:param name="man.authors.section.enabled" select="0"/>
  <xsl:param name="man.copyright.section.enabled" select="0"/>
  <xsl:param name="man.endnotes.are.numbered" select="0"/>
  <xsl:param name="man.hyphenate" select="0"/>
  <xsl:param name="man.justify" select="0"/>
  <xsl:param name="man.th.title.max.length" select="40"/>
  <xsl:param name="man.segtitle.suppress" select="1"/>
  <xsl:param name="variablelist.term.separator" select="''"/>
  <xsl:param name="variablelist.term.break.after" select="1"/>

  <!-- What the head and the foot of a page say. -->
  <xsl:template name="get.refentry.version"><xsl:value-of select="concat('arbiter ', $arbiter.version)"/></xsl:template>
  <xsl:template name="get.refentry.source"><xsl:value-of select="concat('arbiter ', $arbiter.version)"/></xsl:template>
  <xsl:template name="get.refentry.manual"/>
  <xsl:template name="get.refentry.date"/>

  <!-- Placeholders are to be told from what is typed as it stands, in a literal as elsewhere. -->
  <xsl:template match="envar"><xsl:apply-templates/></xsl:template>
</xsl:stylesheet>
